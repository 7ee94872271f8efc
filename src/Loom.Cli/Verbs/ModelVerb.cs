using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Agents.Settings;
using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Cli.Terminal;
using Loom.Core.Binaries;
using Loom.Core.Settings;
using Loom.Node.Provisioning;

namespace Loom.Cli.Verbs;

/// <summary><c>loom model</c>: the models of this machine. Exit codes are those of the provisioner (<see cref="ProvisionExit"/>).</summary>
internal static class ModelVerb
{
    private static readonly Option<string?> s_out = new("--out") { Description = "File to write instead of the models folder" };
    private static readonly Option<bool> s_allowUnverified = new("--allow-unverified")
    {
        Description = "Accept a download without a known checksum, and mark it so",
    };

    private static readonly Argument<string> s_reference = new("REF")
    {
        Description = "demo, file:PATH, https://...#sha256=..., hf:org/repo/file.gguf, or a [models.*] id",
    };

    private static readonly Argument<string> s_id = new("ID") { Description = "Id of a model, as loom model list shows it" };

    public static Command Create()
    {
        var demo = Verb.Create("demo", "Write the demo model: 4 MB, real inference, knows nothing", ["loom model demo", "loom model demo --out demo.gguf"],
            DemoAsync);
        demo.Options.Add(s_out);
        var pull = Verb.Create("pull", "Fetch a model, resumed and checked",
            ["loom model pull coder", "loom model pull hf:org/repo/file.gguf#sha256=...", "loom model pull https://example.com/m.gguf --allow-unverified"],
            PullAsync);
        pull.Arguments.Add(s_reference);
        pull.Options.Add(s_allowUnverified);
        var list = Verb.Create("list", "Show fetched models and catalog entries", ["loom model list", "loom model list --json"], (context, parse, _) =>
            ListAsync(context, parse));
        var verify = Verb.Create("verify", "Read a model through and compare its checksum", ["loom model verify demo"], VerifyAsync);
        verify.Arguments.Add(s_id);
        var remove = Verb.Create("rm", "Delete a fetched model", ["loom model rm demo"], RemoveAsync);
        remove.Arguments.Add(s_id);
        return new Command("model", "Fetch, list, check and delete models") { demo, pull, list, verify, remove };
    }

    private static Task<int> DemoAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken) =>
        FetchAsync(context, parse, allowUnverified: false, (store, progress) =>
            store.DemoAsync(parse.GetValue(s_out) is { } file ? Path.GetFullPath(file, context.WorkingDirectory) : null, progress, cancellationToken));

    private static Task<int> PullAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken) =>
        FetchAsync(context, parse, parse.GetValue(s_allowUnverified), (store, progress) =>
            store.PullAsync(parse.GetValue(s_reference)!, progress, cancellationToken));

    private static Task<int> ListAsync(VerbContext context, ParseResult parse) => WithStoreAsync(context, parse, false, store =>
    {
        var models = store.List();
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(new ModelList(1, models), ModelVerbJson.Default.ModelList));
            return Task.FromResult(ExitCode.Ok);
        }

        if (models.IsEmpty)
        {
            context.Terminal.Note("no models yet: loom model demo, or loom model pull REF");
            return Task.FromResult(ExitCode.Ok);
        }

        context.Terminal.Table([["ID", "SIZE", "CONTEXT", "STATE", "PATH"], .. models.Select(m => new[]
        {
            m.Id,
            m.Bytes is { } bytes ? Size(bytes) : "-",
            m.Ctx?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "-",
            State(m),
            m.Path ?? m.Source ?? "-",
        })]);
        return Task.FromResult(ExitCode.Ok);
    });

    private static Task<int> VerifyAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken) =>
        WithStoreAsync(context, parse, false, async store =>
    {
        var result = await store.VerifyAsync(parse.GetValue(s_id)!, cancellationToken).ConfigureAwait(false);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(new ModelCheck(1, result.Ok, result.Found, result.Expected, result.Model),
                ModelVerbJson.Default.ModelCheck));
        }

        if (result.Model.Trouble is { } trouble)
        {
            throw new ProvisionException(ProvisionExit.BadModel, trouble);
        }

        if (!result.Ok)
        {
            throw new ProvisionException(ProvisionExit.Checksum,
                $"'{result.Model.Path}' has SHA-256 {result.Found}, {result.Expected} was expected; loom model rm {result.Model.Id}, then pull it again");
        }

        if (!context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine($"{result.Model.Id}: ok, SHA-256 {result.Found}{(result.Expected is null ? " (nothing to compare it with)" : "")}");
        }

        return ExitCode.Ok;
    });

    private static Task<int> RemoveAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken) =>
        WithStoreAsync(context, parse, false, async store =>
    {
        var gone = await store.RemoveAsync(parse.GetValue(s_id)!, context.Time, cancellationToken).ConfigureAwait(false);
        if (context.Terminal.Json)
        {
            Show(context, gone);
        }

        context.Terminal.Note($"deleted {gone.Path}");
        return ExitCode.Ok;
    });

    private static Task<int> FetchAsync(VerbContext context, ParseResult parse, bool allowUnverified,
        Func<ModelStore, IProgress<ProvisionProgress>, Task<ModelListing>> fetch) =>
        WithStoreAsync(context, parse, allowUnverified, async store =>
        {
            if (context.Terminal.Json)
            {
                Show(context, await fetch(store, new ProgressLines(context.Terminal.Out)).ConfigureAwait(false)); // progress lines, then the model
                return ExitCode.Ok;
            }

            using var board = new TaskBoard(context.Terminal, context.Time);
            Show(context, await fetch(store, new ProgressOnBoard(board)).ConfigureAwait(false));
            return ExitCode.Ok;
        });

    private static async Task<int> WithStoreAsync(VerbContext context, ParseResult parse, bool allowUnverified, Func<ModelStore, Task<int>> action)
    {
        if (ProcessConfiguration.LoadStrict(context, parse, LoomPart.EngineProvisioner) is not { } settings)
        {
            return ExitCode.Usage;
        }

        var options = HomePlanner.Node(settings, context, RuntimeOptions.From(settings), allowUnverified);
        using var http = Transfer.CreateClient();
        var transfer = new Transfer(http, new TransferDisk(), context.Time, new Random());
        try
        {
            var fetcher = new ModelFetcher(options.ModelsDir, options.Offline, allowUnverified, transfer, context.Time);
            return await action(new ModelStore(options, fetcher)).ConfigureAwait(false);
        }
        catch (ProvisionException e)
        {
            throw ProvisionErrors.Of(e);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            throw new CliError(ExitCode.Failed, "CANNOT_WRITE", e.Message, "set serving.provisioner.models_dir to a folder you may write to");
        }
    }

    private static void Show(VerbContext context, ModelListing model)
    {
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(model, ModelVerbJson.Default.ModelListing));
            return;
        }

        context.Terminal.Out.WriteLine($"{model.Id}  {Size(model.Bytes ?? 0)}  {model.Path}");
        context.Terminal.Out.WriteLine($"SHA-256 {model.Sha256}{(model.Verified == true ? "" : " (unverified: no checksum was known)")}");
    }

    private static string State(ModelListing model) => model switch
    {
        { Path: null } => "not fetched",
        { Trouble: not null } => "unusable",
        { Verified: true } => "verified",
        _ => "unverified",
    };

    private static string Size(long bytes) => ByteSize.Text(bytes);
}

internal sealed record ModelList(int Schema, ImmutableArray<ModelListing> Models);

internal sealed record ModelCheck(int Schema, bool Ok, string Sha256, string? Expected, ModelListing Model);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(ModelCheck))]
[JsonSerializable(typeof(ModelListing))]
internal sealed partial class ModelVerbJson : JsonSerializerContext;
