using System.Collections.Immutable;
using System.Text.Json;
using Loom.Core.Storage;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Catalog;

/// <summary>
/// The registered models and which models are retired: one small file, replaced whole on every change. What nodes have comes from their replicas and is not
/// kept here.
/// </summary>
internal sealed partial class CatalogStore(string? path, ReplicaTable replicas, ILogger log)
{
    private readonly Lock _gate = new();
    private ImmutableSortedDictionary<string, CatalogEntry> _entries = ImmutableSortedDictionary.Create<string, CatalogEntry>(StringComparer.Ordinal);

    /// <summary>All entries. Immutable.</summary>
    public ImmutableSortedDictionary<string, CatalogEntry> Entries => Volatile.Read(ref _entries);

    /// <summary>Reads the file. One that cannot be read is moved aside and told, so that it is not overwritten.</summary>
    public void Start()
    {
        if (path is null || !File.Exists(path))
        {
            return;
        }

        try
        {
            var file = JsonSerializer.Deserialize(File.ReadAllBytes(path), CatalogRecordsJson.Default.CatalogFile);
            _entries = file!.Models.ToImmutableSortedDictionary(e => e.Id, e => e, StringComparer.Ordinal);
            Offer();
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException or ArgumentException or NullReferenceException)
        {
            LogUnreadable(log, path, e);
            File.Move(path, path + ".broken", overwrite: true);
        }
    }

    /// <summary>Changes one entry; on disk when this returns.</summary>
    /// <param name="id">The model.</param>
    /// <param name="change">Gets the entry or null, returns the new one or null to remove it.</param>
    /// <exception cref="ProblemException">507: nothing has changed.</exception>
    public CatalogEntry? Change(string id, Func<CatalogEntry?, CatalogEntry?> change)
    {
        CatalogEntry? entry;
        lock (_gate)
        {
            entry = change(_entries.GetValueOrDefault(id));
            var next = entry is null ? _entries.Remove(id) : _entries.SetItem(id, entry);
            Write(next);
            Volatile.Write(ref _entries, next);
        }

        Offer();
        return entry;
    }

    private void Offer() => replicas.Withhold([.. Entries.Values.Where(e => e.State == ModelOffer.Retired).Select(e => e.Id)]);

    private void Write(ImmutableSortedDictionary<string, CatalogEntry> entries)
    {
        if (path is null)
        {
            return;
        }

        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            DurableFile.Write(path, JsonSerializer.SerializeToUtf8Bytes(new CatalogFile(1, [.. entries.Values]), CatalogRecordsJson.Default.CatalogFile));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ProblemException(new Problem(ProblemCode.DiskFull, $"the catalog cannot be stored: {e.Message}"));
        }
    }

    [LoggerMessage(EventId = 356, Level = LogLevel.Error, Message = "the catalog {Path} cannot be read; it was moved to {Path}.broken and an empty one begun")]
    private static partial void LogUnreadable(ILogger logger, string path, Exception error);
}
