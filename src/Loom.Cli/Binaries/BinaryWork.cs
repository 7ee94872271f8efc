using Loom.Agents.Binaries;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Binaries;
using Loom.Runtime;

namespace Loom.Cli.Binaries;

/// <summary>Resolves programs for a verb: progress and news on stderr, faults as exit codes (6 integrity, 8 network).</summary>
/// <param name="context">Terminal and clock.</param>
/// <param name="options">Which programs, and where from.</param>
/// <param name="allowUnverified">Accept downloads without a known checksum.</param>
internal sealed class BinaryWork(VerbContext context, BinaryOptions options, bool allowUnverified) : IDisposable
{
    private readonly HttpMessageInvoker _http = Transfer.CreateClient();

    /// <summary>The cache.</summary>
    public BinaryCache Cache { get; } = new(options.Cache, context.Time);

    /// <summary>Finds or fetches the programs the project declares, and links them by name into its <c>.loom/bin</c>, for the PATH of its agents.</summary>
    /// <exception cref="CliError">One of them cannot be had.</exception>
    public async Task LinkDeclaredAsync(CancellationToken cancellationToken)
    {
        var pins = new CachePins(options.Cache);
        if (options.Links is not { } links)
        {
            pins.Keep(options.Project, CachePins.Declared, []);
            return;
        }

        // First all, then the links: when one cannot be had, the project is as it was.
        var found = new List<(string Name, string Path)>();
        var used = new List<(string Name, string Version)>();
        foreach (var plan in options.Declared)
        {
            var program = await FindAsync(plan, cancellationToken).ConfigureAwait(false);
            found.Add((plan.Name, program.Path));
            if (program is { Origin: BinaryOrigin.Cache or BinaryOrigin.Download, Version: { } version })
            {
                used.Add((plan.Name, version));
            }
        }

        pins.Keep(options.Project, CachePins.Declared, used);

        Directory.CreateDirectory(links);
        foreach (var (name, path) in found)
        {
            var link = Path.Combine(links, name);
            File.Delete(link);
            File.CreateSymbolicLink(link, path);
        }
    }

    /// <summary>One program, found or fetched.</summary>
    /// <exception cref="CliError">It cannot be had.</exception>
    public async Task<ResolvedBinary> FindAsync(BinaryPlan plan, CancellationToken cancellationToken)
    {
        if (plan.Path is { } path)
        {
            return File.Exists(path) && (File.GetUnixFileMode(path) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0
                ? new ResolvedBinary(path, BinaryOrigin.LocalBuild, null, true)
                : throw new CliError(ExitCode.Usage, "NO_BINARY", $"binaries.{plan.Name}.path: '{path}' {(File.Exists(path) ? "is not executable" : "does not exist")}");
        }

        var places = new BinaryPlaces
        {
            Project = options.Project,
            Cache = options.Cache,
            Base = options.Base,
            Running = new RunningProgram(context.Executable, Build.Current.Version),
            PreferDebug = options.PreferDebug,
            ForceDownload = options.ForceDownload,
            AllowUnverified = allowUnverified,
        };
        var request = new BinaryRequest(plan.Name) { Version = plan.Version, Url = plan.Url, Sha256 = plan.Sha256 };
        using var board = new TaskBoard(context.Terminal, context.Time);
        try
        {
            var resolver = new BinaryResolver(places, new Transfer(_http, new TransferDisk(), context.Time, new Random()), context.Time);
            var found = await resolver.ResolveAsync(request, new OnBoard(board, plan.Name), news => board.Print(Text(news)), cancellationToken).ConfigureAwait(false);
            return found ?? throw Nowhere(plan);
        }
        catch (TransferException e)
        {
            throw new CliError(ExitOf(e.Fault), CodeOf(e.Fault), e.Message);
        }
    }

    public void Dispose() => _http.Dispose();

    private CliError Nowhere(BinaryPlan plan) => new(
        ExitCode.Failed,
        "NO_BINARY",
        $"{plan.Name}{(plan.Version is BinaryNames.Latest ? "" : " " + plan.Version)} is {(options.ForceDownload ? "to be downloaded" : plan.Version is BinaryNames.Latest ? $"neither in a build folder nor in {options.Cache}" : $"not in {options.Cache}")}, "
            + "and no address is known to fetch it from",
        $"set runtime.download_base, or [binaries.{plan.Name}] url and version, or path");

    private string Text(BinaryNews news) =>
        context.Terminal.Paint(news.Kind is BinaryNewsKind.Damaged or BinaryNewsKind.Unverified ? Tone.Bad : Tone.Dim, news.Kind switch
        {
            BinaryNewsKind.Damaged or BinaryNewsKind.Unverified => "warning: ",
            _ => "loom: ",
        }) + news.Text;

    private static int ExitOf(TransferFault fault) => fault switch
    {
        TransferFault.Wrong or TransferFault.Refused => ExitCode.Integrity,
        TransferFault.Unreachable => ExitCode.Transient,
        _ => ExitCode.Failed,
    };

    private static string CodeOf(TransferFault fault) => fault switch
    {
        TransferFault.Wrong => "CHECKSUM",
        TransferFault.Refused => "REFUSED",
        TransferFault.Unreachable => "DOWNLOAD",
        TransferFault.DiskFull => "DISK_FULL",
        _ => "NOT_FOUND",
    };

    private sealed class OnBoard(TaskBoard board, string name) : IProgress<TransferProgress>
    {
        public void Report(TransferProgress value) => board.Set(
            name,
            TaskMark.Running,
            value.Note ?? (value.Phase is "verify" ? "checking" : "downloading"),
            value.BytesTotal is > 0 and var total ? (int)Math.Clamp(value.BytesDone * 100 / total, 0, 100) : null);
    }
}
