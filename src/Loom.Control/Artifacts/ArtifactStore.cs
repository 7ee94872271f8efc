using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;
using Loom.Core.Storage;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Artifacts;

/// <summary>
/// Artifacts by the digest of their kind and content, one file each. The content of a file is checked against its name on every reading; a list of heads is
/// kept in memory.
/// </summary>
internal sealed partial class ArtifactStore(string? folder, TimeProvider time, ILogger log)
{
    private const int DigestLength = 64;

    private readonly Lock _gate = new();
    // Held by whoever writes, so that readers wait for no disk.
    private readonly Lock _writing = new();
    private bool _read;
    private readonly SortedDictionary<string, ArtifactHead> _heads = new(StringComparer.Ordinal);
    // Only for a control plane that keeps nothing on disk.
    private readonly Dictionary<string, byte[]> _memory = new(StringComparer.Ordinal);

    // The heads of what lies on disk, before they are first needed: a server with many artifacts serves before it has read them. A file that is not what its
    // name says is left where it is, and told.
    private void ReadOnce()
    {
        lock (_writing)
        {
            if (!_read)
            {
                ReadHeads();
                _read = true;
            }
        }
    }

    private void ReadHeads()
    {
        if (folder is null || !Directory.Exists(folder))
        {
            return;
        }

        foreach (var path in Directory.EnumerateFiles(folder, "*.json", SearchOption.AllDirectories))
        {
            var id = Path.GetFileNameWithoutExtension(path);
            try
            {
                var bytes = File.ReadAllBytes(path);
                if (IsId(id) && Parse(bytes, id) is { } artifact)
                {
                    lock (_gate)
                    {
                        _heads[id] = artifact.Head(bytes.Length);
                    }

                    continue;
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                LogUnreadable(log, path, e.Message);
                continue;
            }

            LogUnreadable(log, path, "its content is not what its name says");
        }
    }

    /// <summary>Whether a text can be the id of an artifact.</summary>
    public static bool IsId(string id) => id.Length == DigestLength && id.All(char.IsAsciiHexDigitLower);

    /// <summary>Stores an artifact; it is on disk when this returns.</summary>
    /// <param name="kind">Its kind.</param>
    /// <param name="request">The rest.</param>
    /// <param name="isNew">False when the same kind and content was stored before, which then stays as it is.</param>
    /// <exception cref="ProblemException">404: its parent is not there; 507: the disk is full.</exception>
    public ArtifactHead Put(string kind, ArtifactRequest request, out bool isNew)
    {
        var id = IdOf(kind, request.Content);
        ReadOnce();
        lock (_writing)
        {
            lock (_gate)
            {
                if (_heads.TryGetValue(id, out var known))
                {
                    isNew = false;
                    return known;
                }

                if (request.Parent is { } parent && !_heads.ContainsKey(parent))
                {
                    throw Missing(parent, "parent");
                }
            }

            var artifact = new Artifact
            {
                Id = id,
                Kind = kind,
                Digest = "sha256:" + id,
                CreatedMs = time.GetUtcNow().ToUnixTimeMilliseconds(),
                Tags = request.Tags is { IsDefault: false } tags ? tags : [],
                Parent = request.Parent,
                Metadata = request.Metadata,
                Content = request.Content,
            };
            var bytes = JsonSerializer.SerializeToUtf8Bytes(artifact, ArtifactJson.Default.Artifact);
            Write(id, bytes);
            isNew = true;
            lock (_gate)
            {
                return _heads[id] = artifact.Head(bytes.Length);
            }
        }
    }

    /// <summary>Heads by age, newest first.</summary>
    public ImmutableArray<ArtifactHead> List(string? kind, string? tag)
    {
        ReadOnce();
        lock (_gate)
        {
            return
            [
                .. _heads.Values.Where(h => (kind is null || h.Kind == kind) && (tag is null || h.Tags.Contains(tag)))
                    .OrderByDescending(h => h.CreatedMs).ThenBy(h => h.Id, StringComparer.Ordinal),
            ];
        }
    }

    /// <summary>An artifact with its content.</summary>
    /// <exception cref="ProblemException">404; 500 when the file was changed.</exception>
    public Artifact Get(string id)
    {
        byte[]? bytes;
        ReadOnce();
        lock (_gate)
        {
            if (!_heads.ContainsKey(id))
            {
                throw Missing(id, "id");
            }

            bytes = _memory.GetValueOrDefault(id);
        }

        try
        {
            bytes ??= File.ReadAllBytes(PathOf(id));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ProblemException(new Problem(ProblemCode.Internal, $"artifact '{id}' cannot be read: {e.Message}"));
        }

        return Parse(bytes, id) ?? throw new ProblemException(new Problem(ProblemCode.Internal, $"the file of artifact '{id}' was changed: its content has another digest"));
    }

    /// <summary>Digest of kind and content together.</summary>
    /// <exception cref="ProblemException">400: a text in the content is none.</exception>
    internal static string IdOf(string kind, JsonElement content)
    {
        // The object {"content":…,"kind":"…"} in its canonical form, without building it as a document.
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData("{\"content\":"u8);
        hash.AppendData(CanonicalJson.Write(content, "content").WrittenSpan);
        hash.AppendData(",\"kind\":\""u8);
        hash.AppendData(System.Text.Encoding.ASCII.GetBytes(kind));
        hash.AppendData("\"}"u8);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static Artifact? Parse(byte[] bytes, string id)
    {
        try
        {
            return JsonSerializer.Deserialize(bytes, ArtifactJson.Default.Artifact) is { } artifact && artifact.Id == id && IdOf(artifact.Kind, artifact.Content) == id
                ? artifact
                : null;
        }
        catch (Exception e) when (e is JsonException or ProblemException)
        {
            return null;
        }
    }

    private static ProblemException Missing(string id, string param) =>
        new(new Problem(ProblemCode.NotFound, $"there is no artifact '{Core.Settings.Redaction.Plain(id)}'", param));

    private string PathOf(string id) => Path.Combine(folder!, id[..2], id + ".json");

    private void Write(string id, byte[] bytes)
    {
        if (folder is null)
        {
            lock (_gate)
            {
                _memory[id] = bytes;
            }

            return;
        }

        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(PathOf(id))!);
            DurableFile.Write(PathOf(id), bytes);
        }
        catch (IOException e) when (DiskFullException.Is(e))
        {
            throw new ProblemException(new Problem(ProblemCode.DiskFull, $"the disk of '{folder}' is full; free some space and try again"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ProblemException(new Problem(ProblemCode.DiskFull, $"the artifact cannot be stored: {e.Message}"));
        }
    }

    [LoggerMessage(EventId = 355, Level = LogLevel.Warning, Message = "artifact file {Path} is left out: {Reason}")]
    private static partial void LogUnreadable(ILogger logger, string path, string reason);
}
