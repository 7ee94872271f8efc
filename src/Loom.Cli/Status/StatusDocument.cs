using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Loom.Cli.Status;

/// <summary>The document of <c>loom status --json</c>, schema 1. Fields without a value are left out.</summary>
internal static class StatusDocument
{
    // Relaxed: what is written goes to a program or a terminal, never into a page.
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Write(StatusView view)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, s_options))
        {
            json.WriteStartObject();
            json.WriteNumber("schema", 1);
            Run(json, view);
            json.WriteStartArray("pools");
            foreach (var pool in view.Pools)
            {
                Pool(json, pool);
            }

            json.WriteEndArray();
            json.WriteStartArray("systems");
            foreach (var system in view.Systems)
            {
                json.WriteStartObject();
                json.WriteString("name", system.Name);
                json.WriteString("folder", system.Folder);
                json.WriteString("state", system.State);
                Text(json, "note", system.Note);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteStartArray("processes");
            foreach (var process in view.Processes)
            {
                Process(json, view, process);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }

    private static void Run(Utf8JsonWriter json, StatusView view)
    {
        var run = view.Run;
        json.WriteString("run_id", run.RunId);
        json.WriteNumber("generation", run.Generation);
        json.WriteString("mode", run.Mode);
        json.WriteBoolean("ready", run.Ready);
        json.WriteBoolean("well", view.IsWell);
        json.WriteString("started_at", run.StartedAt);
        json.WriteNumber("uptime_ms", (long)view.Uptime.Of(run.Supervisor.StartTicks).TotalMilliseconds);
        json.WriteString("loom_version", run.LoomVersion);
        Text(json, "config_sha256", run.ConfigSha256);
        json.WriteStartObject("supervisor");
        json.WriteNumber("pid", run.Supervisor.Pid);
        json.WriteEndObject();
        if (run.Guardian is { } guardian)
        {
            json.WriteStartObject("guardian");
            json.WriteNumber("pid", guardian.Pid);
            json.WriteEndObject();
        }

        json.WriteStartObject("addresses");
        foreach (var (part, address) in run.Addresses)
        {
            json.WriteString(part, address);
        }

        json.WriteEndObject();
    }

    private static void Pool(Utf8JsonWriter json, PoolView pool)
    {
        json.WriteStartObject();
        json.WriteString("pool", pool.Pool);
        json.WriteString("replica", pool.Replica);
        json.WriteString("state", pool.State);
        json.WriteString("engine", pool.Engine);
        json.WriteString("model", pool.Model);
        json.WriteBoolean("mock", pool.Mock);
        Text(json, "last_error", pool.LastError);
        json.WriteEndObject();
    }

    private static void Process(Utf8JsonWriter json, StatusView view, ProcessView process)
    {
        json.WriteStartObject();
        json.WriteString("name", process.Name);
        json.WriteString("kind", process.Kind);
        json.WriteNumber("replica", process.Replica);
        json.WriteString("state", process.State);
        Time(json, "since", process.Since);
        Number(json, "pid", process.Pid);
        Number(json, "start_ticks", process.StartTicks);
        Number(json, "uptime_ms", view.AgeOf(process) is { } age ? (long)age.TotalMilliseconds : null);
        json.WriteNumber("spawn", process.Spawn);
        json.WriteNumber("restarts", process.Restarts);
        Time(json, "next_start", process.NextStart);
        Number(json, "cpu_ms", process.CpuMs);
        if (view.CpuPercentOf(process) is { } cpu)
        {
            json.WriteNumber("cpu_percent", Math.Round(cpu, 1));
        }

        Number(json, "memory_bytes", process.MemoryBytes);
        if (process.LastExit is { } exit)
        {
            json.WriteStartObject("last_exit");
            Number(json, "code", exit.Code);
            Number(json, "signal", exit.Signal);
            Time(json, "at", exit.At);
            json.WriteString("text", exit.ToString());
            json.WriteEndObject();
        }

        Text(json, "reason", process.Reason);
        Text(json, "note", process.Note);
        json.WriteNumber("grace_ms", process.GraceMs);
        Text(json, "log", process.Log);
        Text(json, "err", process.Err);
        json.WriteEndObject();
    }

    private static void Text(Utf8JsonWriter json, string name, string? value)
    {
        if (value is not null)
        {
            json.WriteString(name, value);
        }
    }

    private static void Number(Utf8JsonWriter json, string name, long? value)
    {
        if (value is { } number)
        {
            json.WriteNumber(name, number);
        }
    }

    private static void Time(Utf8JsonWriter json, string name, DateTimeOffset? value)
    {
        if (value is { } time)
        {
            json.WriteString(name, time);
        }
    }
}
