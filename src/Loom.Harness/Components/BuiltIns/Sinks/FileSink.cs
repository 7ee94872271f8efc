using System.Buffers;
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Sinks;

/// <summary>Settings of <c>file_out</c>.</summary>
internal sealed record FileOutOptions
{
    [Description("Where an event's file goes, a template relative to the system's folder, for instance out/{{ $.id }}.md; folders are made. Two events with one path: the later one's file stays.")]
    public required Template Path { get; init; }

    [Description("What the file holds, a template. Left out: the text of a payload that is text, else the payload as JSON (a mock event's with \"mock\": true).")]
    public Template? Content { get; init; }

    [Description("Base64 text whose bytes the file holds, instead of content.")]
    public Expression? Base64 { get; init; }

    [Range(1, 1_000_000)]
    [Description("Largest number of files that wait for one checkpoint; more are an error that waits for it.")]
    public int MaxStaged { get; init; } = 100_000;
}

/// <summary>What a checkpoint keeps: files that are staged and where they go, in order.</summary>
/// <param name="Next">Number of the next staged file.</param>
/// <param name="Sealed">How many of the files belong to a checkpoint.</param>
/// <param name="Files">The files.</param>
internal sealed record StagedFiles(long Next, int Sealed, IReadOnlyList<StagedFile> Files);

/// <summary>A staged file.</summary>
/// <param name="Number">Its name in the staging folder.</param>
/// <param name="Path">Where it goes, absolute.</param>
internal sealed record StagedFile(long Number, string Path);

/// <summary>One file for each event.</summary>
[Component("file_out", Type = ComponentType.Sink, Idempotent = true, StateVersion = 1,
    Summary = "Writes a file for each event; a reader sees the old file or the new one, never a part. With checkpoints files appear when a checkpoint commits them; without, one by one.")]
#pragma warning disable CA1001 // The setup context owns the semaphore.
internal sealed class FileSink(FileOutOptions options) : Sink<JsonElement>
#pragma warning restore CA1001
{
    private readonly ArrayBufferWriter<byte> _content = new(4096);
    private SetupContext _ctx = null!;
    private FileStaging? _staging;
    private SemaphoreSlim _one = null!;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _ctx = ctx;
        _one = ctx.Own(new SemaphoreSlim(1, 1));
        _staging = ctx.TakesCheckpoints ? new FileStaging(Staging.FolderOf(ctx)) : null;
        return default;
    }

    /// <inheritdoc />
    protected override async ValueTask OnItemAsync(Event<JsonElement> e, CancellationToken ct)
    {
        var path = PathOf(e);
        // With concurrency several come at once; the later one of a path is to win.
        await _one.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            await WriteAsync(path, ContentOf(e), ct).ConfigureAwait(false);
        }
        finally
        {
            _one.Release();
        }
    }

    private async ValueTask WriteAsync(string path, ReadOnlyMemory<byte> content, CancellationToken ct)
    {
        if (_staging is null)
        {
            FileStaging.Replace(path, temp => File.WriteAllBytes(temp, content.Span));
        }
        else if (_staging.Count >= options.MaxStaged)
        {
            throw new ItemException("too_many_staged", $"{_staging.Count} files wait for a checkpoint, which is max_staged; checkpoints may be failing", ErrorClass.Transient);
        }
        else
        {
            await _staging.AddAsync(path, content, ct).ConfigureAwait(false);
        }
    }

    /// <inheritdoc />
    protected internal override ValueTask FlushAsync(bool end, Emitter<JsonElement> output, CancellationToken ct)
    {
        _staging?.Seal();
        return default;
    }

    /// <inheritdoc />
    protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct)
    {
        if (_staging?.Snapshot() is not { } state)
        {
            return new((StateWriter?)null);
        }

        return new((into, cancel) => new ValueTask(JsonSerializer.SerializeAsync(into, state, StagedJson.Default.StagedFiles, cancel)));
    }

    /// <inheritdoc />
    protected internal override async ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
    {
        var staged = await JsonSerializer.DeserializeAsync(state.Content, StagedJson.Default.StagedFiles, ct).ConfigureAwait(false);
        _staging?.Restore(staged!);
    }

    /// <inheritdoc />
    protected internal override ValueTask CommitAsync(CancellationToken ct)
    {
        _staging?.Commit();
        return default;
    }

    private string PathOf(in Event<JsonElement> e)
    {
        var path = options.Path.Render(e);
        try
        {
            return path.Length > 0 && path[^1] != '/'
                ? _ctx.WritePath(path)
                : throw new ItemException("path_refused", $"'{path}' names no file");
        }
        catch (ItemException refused) when (refused.Class != ErrorClass.Permanent)
        {
            // The event's own data leads there: no setting mends it.
            throw new ItemException(refused.Code, refused.Message, ErrorClass.Permanent, refused);
        }
    }

    private ReadOnlyMemory<byte> ContentOf(in Event<JsonElement> e)
    {
        if (options.Base64 is { } base64)
        {
            var value = base64.Evaluate(e);
            return value.ValueKind == JsonValueKind.String && value.TryGetBytesFromBase64(out var bytes)
                ? bytes
                : throw new ItemException("bad_base64", $"the value of {base64.Text} is no base64 text");
        }

        if (options.Content is { } content)
        {
            return Encoding.UTF8.GetBytes(content.Render(e));
        }

        if (e.Data.ValueKind == JsonValueKind.String)
        {
            return Encoding.UTF8.GetBytes(e.Data.GetString()!);
        }

        _content.ResetWrittenCount();
        EventJson.Write(e, EventFormat.Data, _content);
        _content.Write("\n"u8);
        return _content.WrittenMemory;
    }
}
