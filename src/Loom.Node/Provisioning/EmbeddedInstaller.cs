using System.Collections.Immutable;
using System.Text.Json;
using Loom.Core.Binaries;

namespace Loom.Node.Provisioning;

/// <summary>
/// Installs the embedded adapter once per version of its sources: copied to a temp folder, its packages fetched by npm from the lock file (integrity hashes,
/// no scripts, no optional packages), marked, renamed. A release that carries its packages is used where it lies.
/// </summary>
internal sealed class EmbeddedInstaller(NodeOptions options, OneShot oneShot, TimeProvider time)
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromMinutes(10);
    private static readonly string[] s_network = ["ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ENETUNREACH", "EHOSTUNREACH",
        "ERR_SOCKET", "network"];

    // 60 MB of native code; every start of an engine looks whether it is whole.
    private readonly RememberedSums _sums = new();

    /// <summary>Folder of the installed adapter.</summary>
    /// <exception cref="ProvisionException">It cannot be installed.</exception>
    public async Task<string> InstallAsync(StepReporter step, CancellationToken cancellationToken)
    {
        if (options.EmbeddedSources is not { } folder || !Directory.Exists(folder))
        {
            throw new ProvisionException(ProvisionExit.NotFound,
                "the adapter of engine \"embedded\" (engines/embedded) does not lie beside this loom; install Loom whole, or use another engine");
        }

        var sources = await EmbeddedSources.ReadAsync(folder, cancellationToken).ConfigureAwait(false);
        if (await InstallMarker.IsWholeAsync(folder, sources, _sums, cancellationToken).ConfigureAwait(false))
        {
            return folder;
        }

        var target = Path.Combine(options.CacheDir, "engines", $"embedded-{sources.Hash}");
        if (await InstallMarker.IsWholeAsync(target, sources, _sums, cancellationToken).ConfigureAwait(false))
        {
            return target;
        }

        Directory.CreateDirectory(options.CacheDir, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        using var held = await ArtifactLock.TakeAsync(target + ".lock", holder => step.Phase("wait", $"{holder} is installing it"), time,
            cancellationToken).ConfigureAwait(false);
        if (!await InstallMarker.IsWholeAsync(target, sources, _sums, cancellationToken).ConfigureAwait(false))
        {
            await InstallAsync(sources, target, step, cancellationToken).ConfigureAwait(false);
        }

        return target;
    }

    /// <summary>Version of the llama.cpp package in an installed adapter, as <c>node-llama-cpp 3.22.1</c>; null when it does not say.</summary>
    public static string? VersionOf(string folder)
    {
        const string Package = "node-llama-cpp";
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "node_modules", Package, "package.json")));
            return json.RootElement.TryGetProperty("version", out var version) ? $"{Package} {version}" : null;
        }
        catch (Exception e) when (e is IOException or JsonException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private async Task InstallAsync(EmbeddedSources sources, string target, StepReporter step, CancellationToken cancellationToken)
    {
        if (options.Offline)
        {
            throw new ProvisionException(ProvisionExit.Download,
                $"engine \"embedded\" is not installed at '{target}', and serving.provisioner.offline forbids the network; start once with the network, "
                    + $"or use another engine");
        }

        var temp = $"{target}.{Guid.NewGuid():N}.tmp";
        try
        {
            Directory.CreateDirectory(temp);
            sources.CopyTo(temp);
            step.Phase("install", "installing its packages with npm ci (about 85 MB, once)");
            await NpmAsync(temp, cancellationToken).ConfigureAwait(false);
            step.Phase("verify", "checking what was installed");
            (await InstallMarker.OfAsync(temp, sources, cancellationToken).ConfigureAwait(false)).Write(temp);
            if (Directory.Exists(target))
            {
                Directory.Move(target, temp + ".old"); // damaged: moved aside, then deleted below
            }

            Directory.Move(temp, target);
        }
        catch (IOException e) when (TransferDisk.IsFull(e))
        {
            throw new ProvisionException(ProvisionExit.DiskFull, $"engine \"embedded\": the disk of '{target}' is full", e);
        }
        finally
        {
            Delete(temp);
            Delete(temp + ".old");
        }
    }

    private async Task NpmAsync(string folder, CancellationToken cancellationToken)
    {
        if (ToolPath.Find("npm", options.Environment) is not { } npm)
        {
            throw new ProvisionException(ProvisionExit.NotFound,
                "engine \"embedded\" installs its packages with npm, which is not in PATH; install npm (it comes with Node), or use another engine");
        }

        ImmutableArray<string> command = [npm, "ci", "--omit=optional", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress",
            "--no-update-notifier"];
        var result = await oneShot.RunAsync("engine-provisioner-npm", command, folder, options.Environment, s_deadline,
            cancellationToken).ConfigureAwait(false);
        if (result.Code == 0)
        {
            return;
        }

        var said = string.Join('\n', result.Tail);
        var exit = said.Contains("ENOSPC", StringComparison.Ordinal) ? ProvisionExit.DiskFull
            : said.Contains("EINTEGRITY", StringComparison.Ordinal) ? ProvisionExit.Checksum
            : ProvisionExit.Download;
        var why = exit switch
        {
            ProvisionExit.DiskFull => "the disk is full",
            ProvisionExit.Checksum => "a package is not what the lock file says",
            _ when s_network.Any(sign => said.Contains(sign, StringComparison.Ordinal)) =>
                "the npm registry cannot be reached; check the network, npm's registry setting and proxy variables",
            _ => $"npm ci failed ({result.Reason})",
        };
        var last = result.Tail.LastOrDefault(l => l.Contains("error", StringComparison.OrdinalIgnoreCase)
            && !l.Contains("complete log", StringComparison.OrdinalIgnoreCase) && !l.Contains(".log", StringComparison.Ordinal));
        throw new ProvisionException(exit,
            $"engine \"embedded\" could not be installed: {why}.{(last is null ? "" : $" npm said: {last.Trim()}.")} Log: {result.LogPath}");
    }

    private static void Delete(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
