using System.Text;
using Loom.Core.Binaries;
using Loom.Testing;
using Microsoft.AspNetCore.Http;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Binaries;

/// <summary>Programs from releases: which version, which file, which checksum.</summary>
public sealed class ReleaseTests : IAsyncLifetime
{
    private ReleaseServer _release = null!;

    public async ValueTask InitializeAsync() => _release = await ReleaseServer.StartAsync();

    public async ValueTask DisposeAsync() => await _release.DisposeAsync();

    [Fact(Timeout = 240_000)]
    public async Task Resolve_Latest_IsOneExactVersionAndRememberedForADay()
    {
        var time = new ManualTimeProvider();
        _release.Publish("1.9", ReleaseServer.Script("1.9"));
        (await _release.ResolveAsync(time: time))!.ShouldBe(new ResolvedBinary(Path.Combine(_release.Cache, ReleaseServer.Artifact("1.9")), BinaryOrigin.Download, "1.9", true));
        _release.Publish("1.10", ReleaseServer.Script("1.10"));
        time.Advance(TimeSpan.FromHours(23));
        (await _release.ResolveAsync("latest", time: time))!.Version.ShouldBe("1.9");
        time.Advance(TimeSpan.FromHours(2));
        (await _release.ResolveAsync(time: time))!.Version.ShouldBe("1.10");
        (await _release.ResolveAsync("v1.9", time: time))!.Origin.ShouldBe(BinaryOrigin.Cache);
    }

    [Fact(Timeout = 240_000)]
    public async Task Resolve_LatestByRedirect_AsGitHubAnswers()
    {
        _release.Publish("2.0-rc.1", ReleaseServer.Script("2"));
        foreach (var (path, content) in _release.Server.Files.ToArray())
        {
            _release.Server.Files[path.Replace("/base/", "/o/r/releases/download/")] = content;
        }

        _release.Server.Instead.Enqueue(context => Redirect(context, "/renamed/r/releases/latest"));
        _release.Server.Instead.Enqueue(context => Redirect(context, "/renamed/r/releases/tag/v2.0-rc.1"));
        (await _release.ResolveAsync(change: p => p with { Base = new Uri(_release.Server.Root, "o/r/releases/download") }))!.Version.ShouldBe("2.0-rc.1");
        _release.Server.Asked.First().ShouldBe("GET /o/r/releases/latest");
    }

    [Fact(Timeout = 240_000)]
    public async Task Resolve_LatestUnreachable_NewestCachedAndSaidSo()
    {
        _release.Publish("1.9", ReleaseServer.Script("1.9"));
        _release.Publish("1.10", ReleaseServer.Script("1.10"));
        await _release.ResolveAsync("1.9");
        await _release.ResolveAsync("1.10");
        var nobody = new Uri("http://127.0.0.1:9/base?token=very-secret");
        (await _release.ResolveAsync(change: p => p with { Base = nobody }))!.Version.ShouldBe("1.10");
        var said = _release.News.Single(n => n.Kind == BinaryNewsKind.Latest).Text;
        said.ShouldContain("tool 1.10 is the newest in the cache");
        said.ShouldNotContain("very-secret");

        var error = await Should.ThrowAsync<TransferException>(_release.ResolveAsync(change: p => p with { Base = nobody, ForceDownload = true }));
        error.Fault.ShouldBe(TransferFault.Unreachable);
        error.Message.ShouldNotContain("very-secret");
        (await _release.ResolveAsync("1.10"))!.Origin.ShouldBe(BinaryOrigin.Cache); // nothing changed
    }

    [Fact(Timeout = 240_000)]
    public async Task Resolve_NoListOfChecksums_TheFileBesideCounts()
    {
        var content = ReleaseServer.Script("1");
        _release.Server.Files[$"/base/v1.0/{ReleaseServer.Artifact("1.0")}"] = content;
        _release.Server.Files[$"/base/v1.0/{ReleaseServer.Artifact("1.0")}.sha256"] = Encoding.UTF8.GetBytes(Checksum.Of(content).ToUpperInvariant() + "  a-name\n");
        (await _release.ResolveAsync("1.0"))!.Verified.ShouldBeTrue();
    }

    [Fact(Timeout = 240_000)]
    public async Task Resolve_NoChecksumAnywhere_RefusedUnlessAllowedThenWarnedEachTime()
    {
        _release.Server.Files[$"/base/v1.0/{ReleaseServer.Artifact("1.0")}"] = ReleaseServer.Script("1");
        var refused = await Should.ThrowAsync<TransferException>(_release.ResolveAsync("1.0"));
        refused.Fault.ShouldBe(TransferFault.Refused);
        refused.Message.ShouldContain("--allow-unverified");
        (await _release.ResolveAsync("1.0", p => p with { AllowUnverified = true }))!.Verified.ShouldBeFalse();
        (await File.ReadAllTextAsync(Path.Combine(_release.Cache, "checksums.txt"))).ShouldContain(" unverified\n");
        _release.News.Clear();
        (await _release.ResolveAsync("1.0"))!.ShouldSatisfyAllConditions(b => b.Verified.ShouldBeFalse(), b => b.Origin.ShouldBe(BinaryOrigin.Cache));
        _release.News.ShouldHaveSingleItem().Kind.ShouldBe(BinaryNewsKind.Unverified);
    }

    [Fact(Timeout = 240_000)]
    public async Task Resolve_ReleaseWithoutTheProgram_SaysWhereItLooked()
    {
        _release.Publish("1.0", ReleaseServer.Script("1"), "other");
        var error = await Should.ThrowAsync<TransferException>(_release.ResolveAsync("1.0"));
        error.Fault.ShouldBe(TransferFault.NotFound);
        error.Message.ShouldContain($"/base/v1.0/ has no {ReleaseServer.Artifact("1.0")}");
    }

    [Fact(Timeout = 240_000)]
    public async Task Resolve_Forced_FetchesAnewAndLeavesTheOldUntilTheNewIsWhole()
    {
        _release.Publish("1.0", ReleaseServer.Script("old"));
        var path = (await _release.ResolveAsync("1.0"))!.Path;
        _release.Publish("1.0", ReleaseServer.Script("new"));
        _release.Server.Files[$"/base/v1.0/{ReleaseServer.Artifact("1.0")}"] = "<html>gone</html>"u8.ToArray();
        (await Should.ThrowAsync<TransferException>(_release.ResolveAsync("1.0", p => p with { ForceDownload = true }))).Fault.ShouldBe(TransferFault.Wrong);
        (await File.ReadAllBytesAsync(path)).ShouldBe(ReleaseServer.Script("old"));
        _release.Publish("1.0", ReleaseServer.Script("new"));
        (await _release.ResolveAsync("1.0", p => p with { ForceDownload = true }))!.Origin.ShouldBe(BinaryOrigin.Download);
        (await File.ReadAllBytesAsync(path)).ShouldBe(ReleaseServer.Script("new"));
    }

    [Fact(Timeout = 240_000)]
    public async Task Resolve_UserAndTokenInTheAddress_AreSentAndNeverShown()
    {
        _release.Publish("1.0", ReleaseServer.Script("1"));
        var header = "";
        var query = "";
        _release.Server.OnRequest = context => (header, query) = (context.Request.Headers.Authorization.ToString(), context.Request.QueryString.Value ?? "");
        var secret = new UriBuilder(_release.Base) { UserName = "ann", Password = "pass-word-1", Query = "sig=very-secret" }.Uri;
        await _release.ResolveAsync("1.0", p => p with { Base = secret });
        header.ShouldBe("Basic " + Convert.ToBase64String("ann:pass-word-1"u8));
        query.ShouldBe("?sig=very-secret");

        var errors = new List<string>();
        foreach (var version in new[] { "3.0", "1.0" })
        {
            _release.Server.Files[$"/base/v1.0/{ReleaseServer.Artifact("1.0")}"] = "<html>"u8.ToArray();
            errors.Add((await Should.ThrowAsync<TransferException>(_release.ResolveAsync(version, p => p with { Base = secret, ForceDownload = true }))).ToString());
        }

        var onDisk = Directory.EnumerateFiles(_release.Folder.Path, "*", SearchOption.AllDirectories).Select(File.ReadAllText);
        string.Concat([.. errors, .. onDisk, .. _release.News.Select(n => n.Text), .. _release.Notes]).ShouldNotContain("very-secret");
        string.Concat(errors).ShouldNotContain("pass-word-1");
    }

    [Fact(Timeout = 240_000)]
    public async Task Resolve_NamesOfLoom_AreTheRunningProgramUnlessAnotherVersionIsAsked()
    {
        var running = new RunningProgram("/opt/loom", "0.1.0");
        foreach (var name in new[] { "loom", "loom-core", "loom-bridge" })
        {
            foreach (var version in new[] { null, "latest", "0.1.0", "v0.1.0" })
            {
                (await Resolve(name, version))!.ShouldBe(new ResolvedBinary("/opt/loom", BinaryOrigin.Running, "0.1.0", true));
            }

            _release.Publish("0.2.0", ReleaseServer.Script("0.2.0"), name);
            (await Resolve(name, "0.2.0"))!.Origin.ShouldBe(BinaryOrigin.Download);
        }

        Task<ResolvedBinary?> Resolve(string name, string? version) => _release.Resolver(p => p with { Running = running })
            .ResolveAsync(new BinaryRequest(name) { Version = version }, new Progress<TransferProgress>(), _ => { }, CancellationToken.None);
    }

    [Fact(Timeout = 240_000)]
    public async Task Resolve_FullDisk_SaysSoAndLeavesNothing()
    {
        _release.Publish("1.0", ReleaseServer.Script("1"));
        var error = await Should.ThrowAsync<TransferException>(_release.ResolveAsync("1.0", disk: new NoRoom()));
        error.Fault.ShouldBe(TransferFault.DiskFull);
        Directory.GetFiles(_release.Cache).ShouldAllBe(f => f.EndsWith(".lock"));
        (await _release.ResolveAsync("1.0"))!.Origin.ShouldBe(BinaryOrigin.Download);
    }

    private static Task Redirect(HttpContext context, string to)
    {
        context.Response.Redirect(to);
        return Task.CompletedTask;
    }

    private sealed class NoRoom : ITransferDisk
    {
        public long FreeBytes(string folder) => long.MaxValue;

        public FileStream Open(string path, bool append, UnixFileMode mode) => new TransferDisk().Open("/dev/full", append: false, mode);
    }
}
