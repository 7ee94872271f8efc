using System.Collections.Concurrent;
using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using Loom.Core.Binaries;
using Loom.Runtime;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Binaries;

public sealed class BinaryResolverTests : IAsyncLifetime
{
    private const string Script = "#!/bin/sh\necho version 1\n";
    private readonly TempFolder _folder = new();
    private readonly HttpMessageInvoker _http = Transfer.CreateClient();
    private readonly ConcurrentQueue<BinaryNews> _news = new();
    private LyingServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await LyingServer.StartAsync([]);

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _http.Dispose();
        _folder.Dispose();
    }

    [Fact(Timeout = 240_000)]
    public async Task Resolve_Nowhere_Null() => (await ResolveAsync(new BinaryRequest("tool"))).ShouldBeNull();

    [Fact(Timeout = 240_000)]
    public async Task Resolve_LocalBuilds_ReleaseFirstUnlessDebugIsPreferred()
    {
        var release = Build("target/release");
        var debug = Build("bin/Debug");
        (await ResolveAsync(new BinaryRequest("tool")))!.ShouldBe(new ResolvedBinary(release, BinaryOrigin.LocalBuild, null, true));
        (await ResolveAsync(new BinaryRequest("tool"), p => p with { PreferDebug = true }))!.Path.ShouldBe(debug);
        (await ResolveAsync(new BinaryRequest("tool"), p => p with { Project = Path.Combine(_folder.Path, "project", "a", "b") }))!.Path.ShouldBe(release);
    }

    [Fact(Timeout = 240_000)]
    public async Task Resolve_BuildFolderOthersCanWriteTo_IsPassedOver()
    {
        var build = Build("target/release");
        File.SetUnixFileMode(Path.GetDirectoryName(build)!, (UnixFileMode)0b111_111_111);
        (await ResolveAsync(new BinaryRequest("tool"))).ShouldBeNull();
    }

    [Fact(Timeout = 240_000)]
    public async Task Resolve_Download_IsCachedAndVerifiedBeforeEveryUse()
    {
        _server.Content = Encoding.UTF8.GetBytes(Script);
        var first = (await ResolveAsync(Request()))!;
        (first.Origin, first.Verified, first.Version).ShouldBe((BinaryOrigin.Download, true, "1.2"));
        (File.GetUnixFileMode(first.Path) & UnixFileMode.UserExecute).ShouldNotBe(UnixFileMode.None);
        (await ResolveAsync(Request(), p => p with { Offline = true }))!.Origin.ShouldBe(BinaryOrigin.Cache);
        (await ResolveAsync(new BinaryRequest("tool")))!.Path.ShouldBe(first.Path); // without a version: the newest cached
        _server.Requests.Count.ShouldBe(1);

        await File.AppendAllTextAsync(first.Path, "rm -rf /\n");
        var again = (await ResolveAsync(Request()))!;
        again.Origin.ShouldBe(BinaryOrigin.Download);
        (await File.ReadAllTextAsync(again.Path)).ShouldBe(Script);
        Directory.GetFiles(_folder["cache"]).ShouldContain(d => d.Contains(".damaged-"));
        _news.ShouldContain(n => n.Kind == BinaryNewsKind.Damaged && n.Text.Contains("has SHA-256"));
    }

    [Theory(Timeout = 240_000)]
    [InlineData("tar")]
    [InlineData("zip")]
    public async Task Resolve_Archive_IsUnpackedWhole(string kind)
    {
        _server.Content = kind == "tar" ? Tar(("dist/tool", Script), ("dist/lib.so.1", "library"), ("dist/lib.so", "->lib.so.1"))
            : Zip(("dist/tool", Script), ("dist/lib.so.1", "library"));
        var found = (await ResolveAsync(Request() with { Whole = true }))!;
        found.Path.ShouldEndWith("dist/tool");
        File.Exists(Path.Combine(Path.GetDirectoryName(found.Path)!, "lib.so.1")).ShouldBeTrue();
    }

    [Theory(Timeout = 240_000)]
    [InlineData("../tool")]
    [InlineData("/tmp/tool")]
    [InlineData("a/../../tool")]
    public async Task Resolve_ArchiveThatClimbsOut_IsRefusedAndLeavesNothing(string path)
    {
        foreach (var content in new[] { Tar((path, Script)), Zip((path, Script)) })
        {
            _server.Content = content;
            (await Should.ThrowAsync<TransferException>(ResolveAsync(Request()))).Message.ShouldContain("refused");
            (await Should.ThrowAsync<TransferException>(ResolveAsync(Request() with { Whole = true }))).Message.ShouldContain("refused");
            Directory.GetFileSystemEntries(_folder["cache"]).ShouldAllBe(f => f.EndsWith(".lock"));
        }
    }

    [Fact(Timeout = 240_000)]
    public async Task Resolve_LinkOutOfTheArchive_IsRefused()
    {
        foreach (var whole in new[] { true, false })
        {
            _server.Content = Tar(("dist", "->../../../etc"), ("dist/tool", Script));
            (await Should.ThrowAsync<TransferException>(ResolveAsync(Request() with { Whole = whole }))).Fault.ShouldBe(TransferFault.Wrong);
        }

        _server.Content = Tar(("real/x", "x"), ("dist", "->real"), ("dist/tool", Script));
        (await Should.ThrowAsync<TransferException>(ResolveAsync(Request() with { Whole = true }))).Message.ShouldContain("through a link");
        _server.Content = Tar(("other", Script), ("tool", "->other"));
        (await Should.ThrowAsync<TransferException>(ResolveAsync(Request()))).Message.ShouldContain("is a link");
    }

    [Fact(Timeout = 240_000)]
    public async Task Resolve_ArchiveOfOneProgram_OnlyTheProgramIsTaken()
    {
        foreach (var content in new[] { Tar(("tool-1.2/README", "text"), ("tool-1.2/tool", Script)), Zip(("README", "text"), ("bin/tool", Script)) })
        {
            _server.Content = content;
            var found = (await ResolveAsync(Request()))!;
            Path.GetFileName(found.Path).ShouldBe($"tool-v1.2-{BinaryNames.Platform}");
            (await File.ReadAllTextAsync(found.Path)).ShouldBe(Script);
            File.GetUnixFileMode(found.Path).ShouldBe((UnixFileMode)0b111_101_101);
        }

        var list = await File.ReadAllTextAsync(_folder["cache/checksums.txt"]);
        list.ShouldContain($"{Checksum.Of(Encoding.UTF8.GetBytes(Script))}  tool-v1.2-{BinaryNames.Platform}\n");
        _server.Content = Tar(("a/tool", Script), ("b/tool", Script));
        (await Should.ThrowAsync<TransferException>(ResolveAsync(Request()))).Message.ShouldContain("there are 2 files named 'tool'");
    }

    private BinaryRequest Request() => new("tool") { Version = "v1.2", Url = new Uri(_server.Root, "tool"), Sha256 = Checksum.Of(_server.Content) };

    private Task<ResolvedBinary?> ResolveAsync(BinaryRequest request, Func<BinaryPlaces, BinaryPlaces>? change = null)
    {
        var places = new BinaryPlaces { Project = _folder["project"], Cache = _folder["cache"] };
        var transfer = new Transfer(_http, new TransferDisk(), TimeProvider.System, new Random(1)) { FirstPause = TimeSpan.FromMilliseconds(5) };
        return new BinaryResolver(change?.Invoke(places) ?? places, transfer, TimeProvider.System).ResolveAsync(request, new Nobody(), _news.Enqueue,
            CancellationToken.None);
    }

    private string Build(string folder)
    {
        var path = Path.Combine(_folder["project"], folder, "tool");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!, (UnixFileMode)0b111_101_101);
        File.WriteAllText(path, Script);
        return path;
    }

    private static byte[] Tar(params (string Name, string Text)[] entries)
    {
        using var stream = new MemoryStream();
        using (var gzip = new GZipStream(stream, CompressionLevel.Fastest, leaveOpen: true))
        using (var tar = new TarWriter(gzip))
        {
            foreach (var (name, text) in entries)
            {
                tar.WriteEntry(text.StartsWith("->")
                    ? new PaxTarEntry(TarEntryType.SymbolicLink, name) { LinkName = text[2..] }
                    : new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)) });
            }
        }

        return stream.ToArray();
    }

    private static byte[] Zip(params (string Name, string Text)[] entries)
    {
        using var stream = new MemoryStream();
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, text) in entries)
            {
                using var entry = zip.CreateEntry(name).Open();
                entry.Write(Encoding.UTF8.GetBytes(text));
            }
        }

        return stream.ToArray();
    }

    private sealed class Nobody : IProgress<TransferProgress>
    {
        public void Report(TransferProgress value)
        {
        }
    }
}
