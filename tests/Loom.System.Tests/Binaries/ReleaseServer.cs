using System.Collections.Concurrent;
using System.Text;
using Loom.Core.Binaries;
using Loom.Runtime;
using Loom.Testing;

namespace Loom.SystemTests.Binaries;

/// <summary>Releases on a local server, a cache folder of its own, and resolvers over both.</summary>
internal sealed class ReleaseServer : IAsyncDisposable
{
    private readonly HttpMessageInvoker _http = Transfer.CreateClient();

    private ReleaseServer(LyingServer server) => Server = server;

    public LyingServer Server { get; }

    public TempFolder Folder { get; } = new();

    public string Cache => Folder["cache/loom/bin"];

    public Uri Base => new(Server.Root, "base");

    public ConcurrentQueue<BinaryNews> News { get; } = new();

    public ConcurrentQueue<string> Notes { get; } = new();

    /// <summary>Environment of a <c>loom</c> that uses this server and this cache.</summary>
    public (string Name, string Value)[] Environment =>
        [("XDG_CACHE_HOME", Folder["cache"]), ("LOOM_RUNTIME__DOWNLOAD_BASE", Base.AbsoluteUri), ("LOOM_PROJECT", Project)];

    public string Project => Directory.CreateDirectory(Folder["project"]).FullName;

    public static async Task<ReleaseServer> StartAsync() => new(await LyingServer.StartAsync([]));

    /// <summary>A script that says which version it is and what it was called with.</summary>
    public static byte[] Script(string version) => Encoding.UTF8.GetBytes($"#!/bin/sh\necho \"version {version}: $*\"\n");

    public static string Artifact(string version, string name = "tool") => BinaryNames.Artifact(name, version);

    /// <summary>Publishes a bare program with its checksum and makes it the latest.</summary>
    public void Publish(string version, byte[] content, string name = "tool", string form = "")
    {
        Server.Files[$"/base/v{version}/{Artifact(version, name)}{form}"] = content;
        var list = Server.Files.Where(f => f.Key.StartsWith($"/base/v{version}/", StringComparison.Ordinal) && !f.Key.EndsWith(".txt", StringComparison.Ordinal))
            .Select(f => $"{Checksum.Of(f.Value)}  {f.Key.Split('/')[^1]}\n");
        Server.Files[$"/base/v{version}/checksums.txt"] = Encoding.UTF8.GetBytes(string.Concat(list));
        Server.Files["/base/latest"] = Encoding.UTF8.GetBytes($"v{version}\n");
    }

    public BinaryResolver Resolver(Func<BinaryPlaces, BinaryPlaces>? change = null, ITransferDisk? disk = null, TimeProvider? time = null)
    {
        var places = new BinaryPlaces { Project = Project, Cache = Cache, Base = Base };
        var transfer = new Transfer(_http, disk ?? new TransferDisk(), TimeProvider.System, new Random(1)) { FirstPause = TimeSpan.FromMilliseconds(2) };
        return new BinaryResolver(change?.Invoke(places) ?? places, transfer, time ?? TimeProvider.System);
    }

    public Task<ResolvedBinary?> ResolveAsync(string? version = null, Func<BinaryPlaces, BinaryPlaces>? change = null, ITransferDisk? disk = null, TimeProvider? time = null) =>
        Resolver(change, disk, time).ResolveAsync(new BinaryRequest("tool") { Version = version }, new Noted(Notes), News.Enqueue, CancellationToken.None);

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        _http.Dispose();
        Folder.Dispose();
    }

    private sealed class Noted(ConcurrentQueue<string> notes) : IProgress<TransferProgress>
    {
        public void Report(TransferProgress value)
        {
            if (value.Note is { } note)
            {
                notes.Enqueue(note);
            }
        }
    }
}
