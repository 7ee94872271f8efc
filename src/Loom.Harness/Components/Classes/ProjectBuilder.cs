using System.Collections.Immutable;
using System.Text;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Locking;
using Loom.Processes;

namespace Loom.Harness.Components.Classes;

/// <summary>What building a project led to.</summary>
/// <param name="Assembly">Absolute path of what was built; null after a failure.</param>
/// <param name="Problem">The compiler's words; null after a success.</param>
internal sealed record ProjectBuild(string? Assembly, string? Problem);

/// <summary>
/// Builds the projects a system's classes stand in, into <c>.loom/harness/build</c> of the system. A project whose sources have not changed since is
/// not built again, so that only the first start after a change needs the SDK.
/// </summary>
/// <param name="supervisor">Runs <c>dotnet</c>.</param>
/// <param name="environment">Of the build; needs HOME and PATH.</param>
/// <param name="time">For the deadline.</param>
internal sealed class ProjectBuilder(ISupervisor supervisor, ImmutableDictionary<string, string> environment, TimeProvider time)
{
    private const int ShownLines = 6;
    private const string Stamp = "loom.stamp";
    private static readonly TimeSpan s_deadline = TimeSpan.FromMinutes(5);

    /// <summary>Builds each project; the key of the result is the path as given.</summary>
    public async Task<IReadOnlyDictionary<string, ProjectBuild>> BuildAsync(string directory, IEnumerable<string> projects, CancellationToken ct)
    {
        var result = new Dictionary<string, ProjectBuild>(StringComparer.Ordinal);
        foreach (var project in projects.Distinct(StringComparer.Ordinal).Where(p => File.Exists(Path.GetFullPath(p, directory))))
        {
            result[project] = await OneAsync(directory, Path.GetFullPath(project, directory), ct).ConfigureAwait(false);
        }

        return result;
    }

    /// <summary>The builds that are there and of the sources as they are now; needs no SDK.</summary>
    public static IReadOnlyDictionary<string, ProjectBuild> Existing(string directory, IEnumerable<string> projects) => projects.Distinct(StringComparer.Ordinal)
        .Where(p => File.Exists(Path.GetFullPath(p, directory)))
        .Select(p => (Project: p, Ready: Ready(directory, Path.GetFullPath(p, directory), out _, out _)))
        .Where(p => p.Ready is not null)
        .ToDictionary(p => p.Project, p => p.Ready!, StringComparer.Ordinal);

    private static ProjectBuild? Ready(string directory, string project, out string output, out string sources)
    {
        output = Path.Combine(directory, ".loom", "harness", "build", Path.GetFileNameWithoutExtension(project));
        sources = ProjectSources.Hash(DiskSystemFiles.Instance, Path.GetDirectoryName(project)!) ?? "";
        var stamp = Path.Combine(output, Stamp);
        return File.Exists(stamp) && File.ReadAllText(stamp) == sources && Find(output) is { } ready ? new ProjectBuild(ready, null) : null;
    }

    private async Task<ProjectBuild> OneAsync(string directory, string project, CancellationToken ct)
    {
        if (Ready(directory, project, out var output, out var sources) is { } ready)
        {
            return ready;
        }

        if (Program() is not { } dotnet)
        {
            return new ProjectBuild(null, "dotnet is not in PATH; install the .NET SDK, or use assembly: with a .dll that was built elsewhere");
        }

        Directory.CreateDirectory(output);
        var plan = new ProcessPlan
        {
            Name = "build-" + Path.GetFileNameWithoutExtension(project),
            Kind = ProcessKind.Job,
            Command = [dotnet, "build", project, "-c", "Release", "-o", output, "-v", "quiet", "-nologo", "-p:UseArtifactsOutput=false"],
            WorkingDirectory = Path.GetDirectoryName(project)!,
            Environment = environment,
            Restart = RestartPolicy.Never,
            LogPath = Path.Combine(output, "build.log"),
        };
        using var late = new CancellationTokenSource(s_deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(late.Token, ct);
        try
        {
            var (end, tail) = await supervisor.RunToEndAsync(plan, both.Token).ConfigureAwait(false);
            if (end.LastExit?.Code != 0)
            {
                return new ProjectBuild(null, Words(tail, end.Reason));
            }
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return new ProjectBuild(null, $"the build was not done within {s_deadline.TotalMinutes:0} minutes");
        }

        if (Find(output) is not { } built)
        {
            return new ProjectBuild(null, "the build made no assembly with a .deps.json beside it");
        }

        await File.WriteAllTextAsync(Path.Combine(output, Stamp), sources, ct).ConfigureAwait(false);
        return new ProjectBuild(built, null);
    }

    // The main assembly of a build is the one whose dependencies are listed.
    private static string? Find(string output) => !Directory.Exists(output)
        ? null
        : Directory.EnumerateFiles(output, "*.deps.json").Order(StringComparer.Ordinal).Select(d => d[..^".deps.json".Length] + ".dll").FirstOrDefault(File.Exists);

    private string? Program() => environment.GetValueOrDefault("PATH", "").Split(':', StringSplitOptions.RemoveEmptyEntries).Select(f => Path.Combine(f, "dotnet")).FirstOrDefault(File.Exists);

    // Errors of the compiler, each once; what else stood there helps only where there is none.
    private static string Words(ImmutableArray<string> tail, string? reason)
    {
        var errors = tail.Where(l => l.Contains(": error ", StringComparison.Ordinal)).Select(l => l.Trim()).Distinct(StringComparer.Ordinal).Take(ShownLines).ToList();
        var lines = errors.Count > 0 ? errors : [.. tail.TakeLast(ShownLines)];
        return lines.Count == 0 ? reason ?? "dotnet build failed" : string.Join(" | ", lines);
    }
}

/// <summary>The sources of a C# project: what a build is made from. Data that lies beside it is none of it, since it changes with every run.</summary>
internal static class ProjectSources
{
    private const long MaxBytes = 64 << 20;
    private static readonly string[] s_kinds = [".cs", ".csproj", ".props", ".targets", ".resx", "packages.lock.json", "global.json", "nuget.config"];
    private static readonly string[] s_outputs = ["bin", "obj", "artifacts", ".git", ".loom", ".vs"];

    /// <summary>Their paths, relative to the folder, in order.</summary>
    public static IEnumerable<string> In(ISystemFiles files, string folder) =>
        files.FilesBelow(folder, s_outputs).Where(f => s_kinds.Any(k => f.EndsWith(k, StringComparison.OrdinalIgnoreCase))).Order(StringComparer.Ordinal);

    /// <summary>One hash of all of them, by path and content; null when one cannot be read.</summary>
    public static string? Hash(ISystemFiles files, string folder)
    {
        var text = new StringBuilder();
        foreach (var path in In(files, folder))
        {
            if (files.Read(Path.Combine(folder, path), MaxBytes).Content is not { } content)
            {
                return null;
            }

            text.Append(CanonicalText.Hash(content)).Append("  ").Append(path).Append('\n');
        }

        return CanonicalText.Hash(text.ToString());
    }
}
