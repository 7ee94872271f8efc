using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Loom.Processes.Supervision;

/// <summary>A plan's fingerprint: tells whether a running process is still the one the configuration asks for, without keeping its environment.</summary>
public static class PlanHash
{
    public static string Of(ProcessPlan plan)
    {
        using var text = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
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
        return Convert.ToHexStringLower(text.GetHashAndReset());
    }

    private static string Probe(ProbePlan? probe) => probe switch
    {
        null => string.Empty,
        { Check: ProbeCheck.Exec exec } => $"{probe with { Check = new ProbeCheck.Log(string.Join('\0', exec.Command)) }}",
        _ => probe.ToString(),
    };

    /// <summary>Length first, so that no two lists of parts read alike.</summary>
    private static void Part(IncrementalHash hash, string part)
    {
        Span<byte> length = stackalloc byte[16];
        part.Length.TryFormat(length, out var digits, default, CultureInfo.InvariantCulture);
        length[digits] = (byte)':';
        hash.AppendData(length[..(digits + 1)]);
        var buffer = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(part.Length));
        hash.AppendData(buffer.AsSpan(0, Encoding.UTF8.GetBytes(part, buffer)));
        ArrayPool<byte>.Shared.Return(buffer, clearArray: true); // it may have held a secret
    }
}
