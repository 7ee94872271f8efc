using System.Buffers;
using System.ComponentModel;
using System.Text.Json;
using Loom.Components;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Components.BuiltIns.Sinks;

/// <summary>What a file holds when a run starts that resumes nothing.</summary>
internal enum ExistingFile
{
    /// <summary>It stays; output goes on behind it.</summary>
    Append,

    /// <summary>It is emptied.</summary>
    Replace,
}

/// <summary>What the sinks that append to one file share.</summary>
internal abstract record AppendOptions
{
    [Description("The file, relative to the system's folder; its folder is made where it is missing. It belongs to this component alone: a resumed run cuts off what its checkpoint does not know.")]
    public required string Path { get; init; }

    [Description("What becomes of content the file has when a run starts that does not resume from a checkpoint: append keeps it, replace empties the file.")]
    public ExistingFile Existing { get; init; }

    [Description("Without checkpoints: how often output is written to the file, where its readers see it; it is also written whenever 64 KiB are there, and at the end. With checkpoints it appears with each of them instead.")]
    public TimeSpan FlushMs { get; init; } = TimeSpan.FromSeconds(1);
}

/// <summary>Appends one record for each event to a file: staged until a checkpoint commits it, or directly in a run without checkpoints.</summary>
#pragma warning disable CA1001 // The setup context owns the semaphore.
internal abstract class AppendSink(AppendOptions options, ILogger log) : Sink<JsonElement>
#pragma warning restore CA1001
{
    private readonly ArrayBufferWriter<byte> _record = new(4096);
    private SemaphoreSlim _one = null!;
    private bool _staged;

    /// <summary>The file.</summary>
    protected AppendFile File { get; private set; } = null!;

    /// <inheritdoc />
    protected internal override TimeSpan? Tick => _staged ? null : options.FlushMs;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        var path = ctx.WritePath(options.Path);
        var replace = options.Existing == ExistingFile.Replace;
        _staged = ctx.TakesCheckpoints;
        _one = ctx.Own(new SemaphoreSlim(1, 1));
        File = ctx.Own<AppendFile>(_staged ? new StagedAppend(path, Staging.FolderOf(ctx), replace, log) : new PlainAppend(path, replace));
        return default;
    }

    /// <summary>Writes one record, with its end; when it throws, nothing of it counts.</summary>
    protected abstract void Encode(in Event<JsonElement> e, IBufferWriter<byte> into);

    /// <inheritdoc />
    protected sealed override ValueTask OnItemAsync(Event<JsonElement> e, CancellationToken ct)
    {
        // With concurrency several come at once, and a file has one end.
        if (!_one.Wait(0, ct))
        {
            return WriteLaterAsync(e, ct);
        }

        var room = File.MakeRoomAsync(ct);
        if (!room.IsCompletedSuccessfully)
        {
            return AfterRoomAsync(room, e);
        }

        try
        {
            Add(e);
            return default;
        }
        finally
        {
            _one.Release();
        }
    }

    /// <inheritdoc />
    protected internal sealed override ValueTask OnTickAsync(DateTimeOffset now, Emitter<JsonElement> output, CancellationToken ct) =>
        FlushAsync(durable: false, ct);

    /// <inheritdoc />
    protected internal sealed override ValueTask FlushAsync(bool end, Emitter<JsonElement> output, CancellationToken ct) =>
        FlushAsync(durable: true, ct);

    /// <inheritdoc />
    protected internal sealed override async ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct)
    {
        if (_staged)
        {
            // After a flush nothing is collected; before a restart of this component alone there may be.
            await File.WriteAsync(ct).ConfigureAwait(false);
        }

        return File.Snapshot() is { } state ? (into, cancel) => new ValueTask(JsonSerializer.SerializeAsync(into, state, StagedJson.Default.StagedState, cancel)) : null;
    }

    /// <inheritdoc />
    protected internal sealed override async ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
    {
        var staged = await JsonSerializer.DeserializeAsync(state.Content, StagedJson.Default.StagedState, ct).ConfigureAwait(false);
        await File.RestoreAsync(staged!, ct).ConfigureAwait(false);
    }

    /// <inheritdoc />
    protected internal sealed override ValueTask CommitAsync(CancellationToken ct) => File.CommitAsync(ct);

    private async ValueTask WriteLaterAsync(Event<JsonElement> e, CancellationToken ct)
    {
        await _one.WaitAsync(ct).ConfigureAwait(false);
        await AfterRoomAsync(File.MakeRoomAsync(ct), e).ConfigureAwait(false);
    }

    // Holds the file's end and gives it back.
    private async ValueTask AfterRoomAsync(ValueTask room, Event<JsonElement> e)
    {
        try
        {
            await room.ConfigureAwait(false);
            Add(e);
        }
        finally
        {
            _one.Release();
        }
    }

    private async ValueTask FlushAsync(bool durable, CancellationToken ct)
    {
        await _one.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            await File.FlushAsync(durable, ct).ConfigureAwait(false);
        }
        finally
        {
            _one.Release();
        }
    }

    private void Add(in Event<JsonElement> e)
    {
        _record.ResetWrittenCount();
        Encode(e, _record);
        File.Add(_record.WrittenSpan);
    }
}

/// <summary>Where sinks keep output until a checkpoint commits it.</summary>
internal static class Staging
{
    /// <summary>The folder of one component, in the state folder of its system.</summary>
    public static string FolderOf(SetupContext ctx) => Path.Combine(ctx.Directory, ".loom", "harness", ctx.System, "staged", ctx.Name);
}
