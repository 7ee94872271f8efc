using System.Collections.Immutable;
using Loom.Core.Binaries;
using Loom.Node.Demo;
using Loom.Node.Gguf;

namespace Loom.Node.Provisioning;

/// <summary>One model as <c>loom model</c> shows it.</summary>
public sealed record ModelListing
{
    public required string Id { get; init; }

    /// <summary>Where it comes from: an address, <c>demo</c>, or null for a file somebody put there.</summary>
    public string? Source { get; init; }

    /// <summary>Where it lies; null = a catalog entry that was not fetched yet.</summary>
    public string? Path { get; init; }

    public long? Bytes { get; init; }

    public string? Sha256 { get; init; }

    /// <summary>Whether its checksum was known when it came; null = not fetched.</summary>
    public bool? Verified { get; init; }

    /// <summary>Tokens of context, from its header.</summary>
    public int? Ctx { get; init; }

    /// <summary>One line about it, from its header.</summary>
    public string? Description { get; init; }

    /// <summary>Why the file is no usable model; null when it is.</summary>
    public string? Trouble { get; init; }
}

/// <summary>What <c>loom model verify</c> found.</summary>
/// <param name="Model">The model.</param>
/// <param name="Found">Checksum of the file now.</param>
/// <param name="Expected">Checksum it should have; null = none is known.</param>
public sealed record ModelVerification(ModelListing Model, string Found, string? Expected)
{
    public bool Ok => Model.Trouble is null && (Expected is null || Expected == Found);
}

/// <summary>The models of this machine: the catalog of the settings and the files of the models folder.</summary>
/// <param name="options">Catalog and folders.</param>
/// <param name="fetcher">Fetches; null = what is there can be listed, checked and deleted, nothing can be fetched.</param>
public sealed class ModelStore(NodeOptions options, ModelFetcher? fetcher = null)
{
    /// <summary>Catalog entries and files, by id.</summary>
    public ImmutableArray<ModelListing> List()
    {
        var files = Files().Select(Listing).ToList();
        var missing = options.Models.Values
            .Where(m => !files.Exists(f => f.Id == m.Id))
            .Select(m => m.Source.StartsWith("file:", StringComparison.Ordinal) ? InPlace(m.Id) : new ModelListing { Id = m.Id, Source = m.Source });
        return [.. files.Concat(missing).OrderBy(m => m.Id, StringComparer.Ordinal).ThenBy(m => m.Path, StringComparer.Ordinal)];
    }

    /// <summary>Writes the demo model to a file of the caller's choice, or into the models folder.</summary>
    public async Task<ModelListing> DemoAsync(string? file, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken)
    {
        if (file is null)
        {
            return Listing((await Fetcher.FetchAsync(new ModelReference.Demo { Id = DemoModel.Id }, progress, null,
                cancellationToken).ConfigureAwait(false)).Path);
        }

        if (!Directory.Exists(Path.GetDirectoryName(file)))
        {
            throw new ProvisionException(ProvisionExit.NotFound, $"there is no folder '{Path.GetDirectoryName(file)}' to write the demo model to");
        }

        DemoFile.Write(file, DemoModel.Sha256);
        return Listing(file) with { Sha256 = DemoModel.Sha256, Verified = true, Id = DemoModel.Id, Source = DemoModel.Id };
    }

    /// <summary>Fetches a model by reference or catalog id and reads its header.</summary>
    /// <param name="reference">What to fetch.</param>
    /// <param name="progress">Told of the step.</param>
    /// <param name="cancellationToken">Ends it; what came so far is kept and resumed.</param>
    /// <param name="id">Id it is to have; null = its own.</param>
    /// <exception cref="ProvisionException">It cannot be had or is no model.</exception>
    public async Task<ModelListing> PullAsync(string reference, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken, string? id = null)
    {
        var parsed = ModelReference.Parse(reference, options.Models, options.WorkingDirectory, Provisioner.HubOf(options.Environment));
        parsed = parsed with { Id = id ?? parsed.Id };
        var model = await Fetcher.FetchAsync(parsed, progress, null, cancellationToken).ConfigureAwait(false);
        var listing = Listing(model.Path) with { Id = model.Id };
        return listing.Trouble is null ? listing : throw new ProvisionException(ProvisionExit.BadModel, $"model '{model.Id}': {listing.Trouble}");
    }

    /// <summary>Reads a model through and compares it with what is known of it.</summary>
    /// <exception cref="ProvisionException">There is no such file.</exception>
    public async Task<ModelVerification> VerifyAsync(string id, CancellationToken cancellationToken)
    {
        var model = Find(id);
        var record = ModelRecord.Read(model.Path!);
        var expected = options.Models.GetValueOrDefault(id)?.Sha256 ?? (model.Source == DemoModel.Id ? DemoModel.Sha256 : record?.Sha256);
        return new ModelVerification(model, await Checksum.OfFileAsync(model.Path!, cancellationToken).ConfigureAwait(false), expected);
    }

    /// <summary>Deletes a fetched model and its record. A file outside the models folder is never touched.</summary>
    /// <exception cref="ProvisionException">There is no such file, or it is the user's own.</exception>
    public async Task<ModelListing> RemoveAsync(string id, TimeProvider time, CancellationToken cancellationToken)
    {
        var model = Fetched(id);
        using var held = await ArtifactLock.TakeAsync(model.Path + ".lock", _ => { }, time, cancellationToken).ConfigureAwait(false);
        File.Delete(model.Path!);
        File.Delete(ModelRecord.PathOf(model.Path!));
        return model;
    }

    /// <summary>A model Loom may delete: its file lies in the models folder, links resolved.</summary>
    /// <exception cref="ProvisionException">There is no such file, or it is the user's own.</exception>
    public ModelListing Fetched(string id)
    {
        var model = Find(id);
        return OurFolders.Holds(options.ModelsDir, model.Path!)
            ? model
            : throw new ProvisionException(ProvisionExit.Configuration,
                $"model '{id}' is your own file '{model.Path}', not one Loom fetched; delete it yourself if you mean it");
    }

    private ModelFetcher Fetcher => fetcher ?? throw new InvalidOperationException("this store was made without a way to fetch");

    private ModelListing Find(string id)
    {
        var known = List();
        return known.FirstOrDefault(m => m.Id == id && m.Path is not null)
            ?? throw new ProvisionException(ProvisionExit.NotFound, known.Any(m => m.Id == id)
                ? $"model '{id}' is in the catalog, but not on this machine; loom model pull {id}"
                : $"there is no model '{id}' (known: {(known.IsEmpty ? "none" : string.Join(", ", known.Select(m => m.Id)))})");
    }

    private ModelListing InPlace(string id)
    {
        var reference = (ModelReference.LocalFile)ModelReference.Parse(id, options.Models, options.WorkingDirectory, Provisioner.HubOf(options.Environment));
        return File.Exists(reference.Path)
            ? Listing(reference.Path) with { Id = id, Source = options.Models[id].Source, Verified = true }
            : new ModelListing { Id = id, Source = options.Models[id].Source };
    }

    private IEnumerable<string> Files() =>
        Directory.Exists(options.ModelsDir) ? Directory.EnumerateFiles(options.ModelsDir, "*.gguf", SearchOption.AllDirectories) : [];

    private ModelListing Listing(string path)
    {
        var record = ModelRecord.Read(path);
        var listing = new ModelListing
        {
            Id = record?.Id ?? Path.GetFileNameWithoutExtension(path),
            Source = record?.Source,
            Path = path,
            Bytes = new FileInfo(path).Length,
            Sha256 = record?.Sha256,
            Verified = record?.Verified ?? false,
        };
        try
        {
            var header = GgufReader.Read(path);
            return listing with { Ctx = header.ContextLength, Description = header.Description };
        }
        catch (Exception e) when (e is GgufException or IOException or UnauthorizedAccessException)
        {
            return listing with { Trouble = e.Message };
        }
    }
}
