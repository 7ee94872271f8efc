using System.Text.Json;
using Loom.Components;

namespace Loom.Testing.Harness;

/// <summary>What a component alone on a stage gets at setup: a folder, a clock, and everything allowed inside the folder.</summary>
public sealed class Stage : SetupContext, IComponentMetrics, IAsyncDisposable
{
    private readonly Stack<object> _owned = new();

    /// <param name="folder">The system's folder; null for components that touch no disk.</param>
    public Stage(string? folder = null) => Directory = folder ?? "/nowhere";

    /// <inheritdoc />
    public override string Name { get; } = "part";

    /// <inheritdoc />
    public override string System { get; } = "stage";

    /// <inheritdoc />
    public override string Directory { get; }

    /// <summary>The clock; the real one unless a test gives another.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Whether the run takes checkpoints.</summary>
    public bool Checkpoints { get; init; }

    /// <summary>Hosts that may be called.</summary>
    public IReadOnlyList<string> Hosts { get; init; } = [];

    /// <inheritdoc />
    public override TimeProvider Time => Clock;

    /// <inheritdoc />
    public override IComponentMetrics Metrics => this;

    /// <inheritdoc />
    public override bool TakesCheckpoints => Checkpoints;

    /// <summary>Counters so far.</summary>
    public Dictionary<string, long> Counters { get; } = [];

    /// <summary>Gauges as they were set last.</summary>
    public Dictionary<string, double> Gauges { get; } = [];

    /// <inheritdoc />
    public override T Own<T>(T resource)
    {
        _owned.Push(resource);
        return resource;
    }

    /// <inheritdoc />
    public override string ReadPath(string path) => Path.GetFullPath(path, Directory);

    /// <inheritdoc />
    public override string WritePath(string path)
    {
        var full = Path.GetFullPath(path, Directory);
        return full.StartsWith(Directory, StringComparison.Ordinal)
            ? full
            : throw new ItemException("path_refused", $"'{path}' lies outside the stage's folder", ErrorClass.Configuration);
    }

    /// <inheritdoc />
    public override bool MayCall(Uri address) => Hosts.Contains(address.Host);

    void IComponentMetrics.Count(string name, long by) => Counters[name] = Counters.GetValueOrDefault(name) + by;

    void IComponentMetrics.Set(string name, double value) => Gauges[name] = value;

    /// <summary>Sets a component up.</summary>
    public async Task<T> SetUpAsync<T>(T component)
        where T : Component
    {
        await component.SetupAsync(this, CancellationToken.None);
        return component;
    }

    /// <summary>Reads a source to its end, or to a number of events.</summary>
    public static async Task<List<Read<JsonElement>>> ReadAsync(Source<JsonElement> source, int most = int.MaxValue, CancellationToken stopping = default)
    {
        var all = new List<Read<JsonElement>>();
        while (all.Count < most)
        {
            var read = await source.ReadAsync(stopping, CancellationToken.None).AsTask().WaitAsync(TimeSpan.FromSeconds(120));
            if (read.IsEnd)
            {
                break;
            }

            all.Add(read);
        }

        return all;
    }

    /// <summary>The state a component gives a checkpoint now; null when it keeps none.</summary>
    public static async Task<byte[]?> SnapshotAsync(Component component)
    {
        if (await component.SnapshotAsync(CancellationToken.None) is not { } write)
        {
            return null;
        }

        var into = new MemoryStream();
        await write(into, CancellationToken.None);
        return into.ToArray();
    }

    /// <summary>Gives a component state of an earlier checkpoint.</summary>
    public static Task RestoreAsync(Component component, byte[] state) =>
        component.RestoreAsync(new RestoredState(1, new MemoryStream(state)), CancellationToken.None).AsTask();

    /// <summary>Where each partition goes on after what was read.</summary>
    public static Dictionary<string, long> Offsets(IEnumerable<Read<JsonElement>> reads)
    {
        var next = new Dictionary<string, long>();
        foreach (var read in reads)
        {
            next[read.Partition] = read.Next;
        }

        return next;
    }

    /// <inheritdoc />
    public async ValueTask DisposeAsync()
    {
        while (_owned.TryPop(out var resource))
        {
            switch (resource)
            {
                case IAsyncDisposable later:
                    await later.DisposeAsync();
                    break;
                case IDisposable now:
                    now.Dispose();
                    break;
                default:
                    break;
            }
        }
    }
}
