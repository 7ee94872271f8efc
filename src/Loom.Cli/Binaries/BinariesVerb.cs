using System.CommandLine;
using Loom.Agents.Binaries;
using Loom.Cli.Config;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Binaries;
using Loom.Core.Settings;
using Loom.Node.Provisioning;
using Loom.Runtime;

namespace Loom.Cli.Binaries;

/// <summary><c>loom binaries</c>: the programs in the user's cache, which all projects share. Works without a project.</summary>
internal static class BinariesVerb
{
    private static readonly Argument<string> s_name = new("NAME[@VERSION]")
    {
        Description = "loom, loom-core, loom-bridge, a [binaries.*] of the project, or another program of the releases; without a version what the project says, else the latest",
    };

    private static readonly Option<bool> s_dryRun = new("--dry-run") { Description = "Only say what would be deleted" };

    public static Command Create()
    {
        var list = Verb.Create("list", "Show what is in the cache and what the project declares", ["loom binaries list", "loom binaries list --json"],
            (context, parse, _) => Task.FromResult(List(context, Look(context, parse))));
        var fetch = Verb.Create("fetch", "Find a program (local build, cache, download) and print its path",
            ["loom binaries fetch loom-bridge", "loom binaries fetch loom-bridge@v0.1.0 --force-download", "loom binaries fetch loom --json"], FetchAsync);
        fetch.Arguments.Add(s_name);
        foreach (var option in new Option[] { BinaryFlags.ForceDownload, BinaryFlags.UseDebug, BinaryFlags.AllowUnverified })
        {
            fetch.Options.Add(option);
        }

        var verify = Verb.Create("verify", "Read every cached program through and compare its checksum; exit 6 when one does not fit",
            ["loom binaries verify", "loom binaries verify --json"],
            async (context, parse, cancellationToken) => await VerifyAsync(context, Look(context, parse), cancellationToken).ConfigureAwait(false));
        var prune = Verb.Create("prune", "Delete old versions, damaged files and what cut downloads left; programs that run now or that another project uses stay",
            ["loom binaries prune --dry-run", "loom binaries prune"], PruneAsync);
        prune.Options.Add(s_dryRun);
        return new Command("binaries", "Find, fetch, check and delete cached programs") { list, fetch, verify, prune };
    }

    /// <summary>What only looks needs no valid file: the cache is the user's, not the project's.</summary>
    private static BinaryOptions Look(VerbContext context, ParseResult parse) => BinaryOptions.From(ProcessConfiguration.Load(context, parse, LoomPart.Up).Snapshot);

    private static async Task<int> FetchAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        if (ProcessConfiguration.LoadStrict(context, parse, LoomPart.Up, BinaryFlags.Values(parse).AsSpan()) is not { } settings)
        {
            return ExitCode.Usage;
        }

        var options = BinaryOptions.From(settings);
        var plan = PlanOf(parse.GetValue(s_name)!, options);
        using var work = new BinaryWork(context, options, parse.GetValue(BinaryFlags.AllowUnverified));
        var found = await work.FindAsync(plan, cancellationToken).ConfigureAwait(false);
        context.Terminal.Out.WriteLine(context.Terminal.Json ? BinariesJson.Of(plan.Name, found) : found.Path);
        return ExitCode.Ok;
    }

    private static BinaryPlan PlanOf(string text, BinaryOptions options)
    {
        var at = text.IndexOf('@', StringComparison.Ordinal);
        var (name, version) = at < 0 ? (text, null) : (text[..at], text[(at + 1)..]);
        if (!BinaryNames.IsName(name))
        {
            throw new CliError(ExitCode.Usage, "BAD_NAME", $"'{Redaction.Plain(name)}' is no name of a program: letters, digits, '.', '_' and '-'", "loom binaries list");
        }

        if (version is not null and not BinaryNames.Latest && !BinaryNames.IsVersion(version))
        {
            throw new CliError(ExitCode.Usage, "BAD_VERSION", $"'{Redaction.Plain(version)}' is no exact version", $"{name}@v0.1.0, or {name}@latest");
        }

        var plan = options.Declared.FirstOrDefault(b => b.Name == name)
            ?? new BinaryPlan(name) { Version = new BinaryRequest(name).IsLoom ? options.RuntimeVersion : BinaryNames.Latest };
        return version is null ? plan : plan with { Version = version };
    }

    private static int List(VerbContext context, BinaryOptions options)
    {
        var cache = new BinaryCache(options.Cache, context.Time);
        var rows = new List<BinaryRow> { new("loom", Build.Current.Version, "running", context.Executable, null) };
        rows.AddRange(cache.Artifacts().Select(a => new BinaryRow(
            a.Name, a.Version, cache.IsVerified(a.Name, a.Version) switch { true => "verified", false => "unverified", null => "unknown" }, cache.PathOf(a.Name, a.Version), cache.BytesOf(a.Name, a.Version))));
        rows.AddRange(options.Declared.Where(d => d.Path is not null || !rows.Exists(r => r.Name == d.Name))
            .Select(d => new BinaryRow(d.Name, d.Version, d.Path is null ? "not fetched" : "local", d.Path, null)));
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(BinariesJson.Of(options.Cache, rows));
            return ExitCode.Ok;
        }

        context.Terminal.Table([["NAME", "VERSION", "STATE", "SIZE", "PATH"], .. rows.Select(r => new[]
        {
            r.Name, r.Version, r.State, r.Bytes is { } bytes ? ByteSize.Text(bytes) : "-", r.Path ?? "-",
        })]);
        return ExitCode.Ok;
    }

    private static async Task<int> VerifyAsync(VerbContext context, BinaryOptions options, CancellationToken cancellationToken)
    {
        var cache = new BinaryCache(options.Cache, context.Time);
        var rows = new List<BinaryRow>();
        foreach (var (name, version) in cache.Artifacts())
        {
            if (await cache.CheckAsync(name, version, cancellationToken).ConfigureAwait(false) is { } found)
            {
                rows.Add(new BinaryRow(name, version, found.Trouble is not null ? "damaged" : found.Verified ? "ok" : "unverified", found.Path, found.Bytes) { Trouble = found.Trouble });
            }
        }

        var damaged = rows.Count(r => r.Trouble is not null);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(BinariesJson.Of(options.Cache, rows));
        }
        else
        {
            foreach (var row in rows)
            {
                context.Terminal.Out.WriteLine($"{row.Name} {row.Version}: {row.Trouble ?? (row.State is "ok" ? "ok" : "its checksum fits, but was not known when it was fetched")}");
            }
        }

        return damaged == 0
            ? ExitCode.Ok
            : throw new CliError(ExitCode.Integrity, "CHECKSUM", $"{damaged} of {rows.Count} programs in {options.Cache} are not what they should be; they are never run",
                "loom binaries fetch NAME fetches one again");
    }

    private static async Task<int> PruneAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        var options = Look(context, parse);
        var cache = new BinaryCache(options.Cache, context.Time);
        var dryRun = parse.GetValue(s_dryRun);
        var gone = new List<string>();
        foreach (var path in cache.Leftovers())
        {
            gone.Add(path);
            if (!dryRun)
            {
                BinaryCache.RemoveFiles(path);
            }
        }

        foreach (var (name, version) in cache.Artifacts().Where(a => !IsNeeded(cache, options, a.Name, a.Version)))
        {
            gone.Add(cache.PathOf(name, version));
            if (!dryRun)
            {
                await cache.RemoveAsync(name, version, cancellationToken).ConfigureAwait(false);
            }
        }

        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(BinariesJson.Pruned(options.Cache, gone, dryRun));
            return ExitCode.Ok;
        }

        foreach (var path in gone)
        {
            context.Terminal.Out.WriteLine(path);
        }

        context.Terminal.Note($"{gone.Count} {(dryRun ? "would be " : "")}deleted");
        return ExitCode.Ok;
    }

    // The newest of each, what this project names, what others use, and what runs now.
    private static bool IsNeeded(BinaryCache cache, BinaryOptions options, string name, string version) =>
        cache.Versions(name)[0] == version
        || options.Declared.Any(d => d.Name == name && BinaryNames.Plain(d.Version) == version)
        || (new BinaryRequest(name).IsLoom && BinaryNames.Plain(options.RuntimeVersion) == version)
        || new CachePins(options.Cache).IsUsed(name, version)
        || cache.IsInUse(name, version);
}
