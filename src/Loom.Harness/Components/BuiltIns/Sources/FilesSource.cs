using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Components;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>What of a file becomes part of its event.</summary>
internal enum FileContent
{
    /// <summary>Its text, in a field <c>text</c>.</summary>
    Text,

    /// <summary>Its bytes as base64, in a field <c>base64</c>.</summary>
    Base64,

    /// <summary>Nothing but name, size and time.</summary>
    None,
}

/// <summary>Settings of <c>files</c>.</summary>
internal sealed record FilesOptions
{
    [Description("The file, relative to the system's folder, or a pattern: * ? [a-z] {a,b} within a name, ** for any number of folders; links are not followed then.")]
    public required string Path { get; init; }

    [Description("What of a file becomes part of its event: text (UTF-8, in a field \"text\"), base64 (in a field \"base64\") or none.")]
    public FileContent Content { get; init; }

    [Range(0, 1 << 30)]
    [Description("Largest file that is read, in bytes; a larger one is an item error.")]
    public int MaxBytes { get; init; } = 4 << 20;
}

/// <summary>One event for each file.</summary>
[Component("files", Type = ComponentType.Source, Replayable = true,
    Summary = "Reads whole files, one event each, in the order of their names: {\"path\", \"name\", \"size\", \"modified\", \"text\"}. Ends when all are read.")]
internal sealed partial class FilesSource(FilesOptions options, ILogger<FilesSource> log) : Source<JsonElement>
{
    private readonly Queue<string> _waiting = new();
    private IReadOnlyDictionary<string, long> _next = new Dictionary<string, long>();
    private FileSet _files = null!;
    private IComponentMetrics _metrics = null!;
    private bool _listed;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _files = FileSet.Of(options.Path, ctx);
        _metrics = ctx.Metrics;
        return default;
    }

    /// <inheritdoc />
    protected internal override ValueTask SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct)
    {
        _next = next;
        return default;
    }

    /// <inheritdoc />
    protected internal override async ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct)
    {
        if (!_listed)
        {
            _listed = true;
            foreach (var path in _files.List().Where(p => _next.GetValueOrDefault(_files.NameOf(p)) == 0))
            {
                _waiting.Enqueue(path);
            }
        }

        while (!stopping.IsCancellationRequested && _waiting.TryDequeue(out var path))
        {
            _metrics.Set("behind_files", _waiting.Count);
            var name = _files.NameOf(path);
            if (await FilePayload.ReadAsync(path, name, options.Content, options.MaxBytes, ct).ConfigureAwait(false) is { } read)
            {
                return new Read<JsonElement> { Data = read.Data, Error = read.Error, Partition = name, Offset = 0, Next = 1 };
            }

            LogGone(log, name);
        }

        return Read<JsonElement>.End;
    }

    [LoggerMessage(EventId = 4301, Level = LogLevel.Information, Message = "{File} was removed before it was read")]
    private static partial void LogGone(ILogger logger, string file);
}

/// <summary>A file as a payload.</summary>
internal static class FilePayload
{
    /// <summary>Reads it; null when it is gone. One that is too large or may not be read is an error of its own, told without its content, and others are read on.</summary>
    public static async ValueTask<(JsonElement Data, ItemException? Error)?> ReadAsync(string path, string name, FileContent content, int maxBytes, CancellationToken ct)
    {
        var info = new FileInfo(path);
        try
        {
            if (!info.Exists)
            {
                return null;
            }

            if (content != FileContent.None && info.Length > maxBytes)
            {
                return Refused(info, name, new ItemException("file_too_large", $"{name} has {info.Length} bytes, more than max_bytes, {maxBytes}; set content: none or a higher limit"));
            }

            var bytes = content == FileContent.None ? [] : await File.ReadAllBytesAsync(path, ct).ConfigureAwait(false);
            return (Write(info, name, content, bytes), null);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (UnauthorizedAccessException e)
        {
            return Refused(info, name, new ItemException("file_refused", $"{name} may not be read: {e.Message}", ErrorClass.Permanent, e));
        }
    }

    private static (JsonElement Data, ItemException? Error) Refused(FileInfo info, string name, ItemException error) => (Write(info, name, FileContent.None, []), error);

    private static JsonElement Write(FileInfo info, string name, FileContent content, ReadOnlySpan<byte> bytes)
    {
        var payload = new PayloadWriter();
        var json = payload.Begin();
        json.WriteString("path"u8, name);
        json.WriteString("name"u8, info.Name);
        json.WriteNumber("size"u8, content == FileContent.None ? info.Length : bytes.Length);
        json.WriteString("modified"u8, info.LastWriteTimeUtc);
        switch (content)
        {
            case FileContent.Text:
                PayloadWriter.WriteText(json, "text"u8, bytes.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]) ? bytes[3..] : bytes);
                break;
            case FileContent.Base64:
                json.WriteBase64String("base64"u8, bytes);
                break;
            default:
                break;
        }

        return payload.End();
    }
}
