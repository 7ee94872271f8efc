using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Loom.Processes.Supervision;

/// <summary>A plan's fingerprint: tells whether a running process is still the one the configuration asks for, without keeping its environment.</summary>
public static class PlanHash
{
    public static string Of(ProcessPlan plan)
    {
        var text = new StringBuilder();
        foreach (var part in plan.Command)
        {
            Part(text, part);
        }

        foreach (var (name, value) in plan.Environment.OrderBy(v => v.Key, StringComparer.Ordinal))
        {
            Part(text, $"{name}={value}");
        }

        Part(text, plan.WorkingDirectory);
        Part(text, plan.Kind.ToString());
        Part(text, plan.Restart.ToString());
        Part(text, Probe(plan.Ready));
        Part(text, Probe(plan.Live));
        Part(text, string.Join(',', plan.SuccessCodes) + ";" + string.Join(',', plan.FatalCodes));
        Part(text, string.Create(CultureInfo.InvariantCulture, $"{plan.Grace?.Ticks} {plan.StopSignal}"));
        Part(text, string.Join('\0', plan.StopCommand));
        Part(text, string.Create(CultureInfo.InvariantCulture, $"{plan.Limits} {plan.Console}"));
        Part(text, $"{plan.LogPath}\0{plan.ErrorLogPath}");
        Part(text, string.Create(CultureInfo.InvariantCulture, $"{plan.Log.Format} {plan.Log.StripAnsi} {plan.Log.MaxBytes} {plan.Log.Keep} {plan.Log.Timestamps}"));
        Part(text, string.Join('\0', plan.Log.Secrets.Keys.Order(StringComparer.Ordinal)));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }

    private static string Probe(ProbePlan? probe) => probe switch
    {
        null => string.Empty,
        { Check: ProbeCheck.Exec exec } => $"{probe with { Check = new ProbeCheck.Log(string.Join('\0', exec.Command)) }}",
        _ => probe.ToString(),
    };

    private static void Part(StringBuilder text, string part) => text.Append(part.Length).Append(':').Append(part);
}
