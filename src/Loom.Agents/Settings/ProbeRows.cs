using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Agents.Settings;

/// <summary>The rows that <c>ready</c> and <c>live</c> have in common.</summary>
internal sealed class ProbeRows
{
    /// <param name="table">Key of the table, for example <c>agents.*.ready</c>.</param>
    /// <param name="means">What a success means: ready, alive.</param>
    /// <param name="every">Default pause in seconds.</param>
    public ProbeRows(string table, string means, string every)
    {
        Http = Setting.LateUrl($"{table}.http", $"An answer with an accepted status means {means}.");
        Tcp = Setting.LateAddress($"{table}.tcp", $"An accepted connection means {means}.");
        Exec = Setting.Command($"{table}.exec", $"A command that ends with 0 means {means}.");
        Every = Setting.Duration($"{table}.every", "Pause between probes.", every, min: "0.05", max: "3600");
        Timeout = Setting.Duration($"{table}.timeout", "Longest probe.", "5", min: "0.05", max: "3600");
        Status = Setting.IntList($"{table}.status", "First and last accepted HTTP status.", "200,399", min: "100", max: "599");
        All = [Http, Tcp, Exec, Every, Timeout, Status];
    }

    public Setting<string> Http { get; }

    public Setting<string> Tcp { get; }

    public Setting<ImmutableArray<string>> Exec { get; }

    public Setting<TimeSpan> Every { get; }

    public Setting<TimeSpan> Timeout { get; }

    public Setting<ImmutableArray<long>> Status { get; }

    public ImmutableArray<Setting> All { get; }
}
