using System.Text;
using Loom.Core.Binaries;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Binaries;

/// <summary>
/// Drills of programs that come over a network: damaged in the cache, cut on the way, changed meanwhile, asked for by many. Short counts unless LOOM_DRILLS=full.
/// </summary>
public sealed class BinaryDrills : IAsyncLifetime
{
    private ReleaseServer _release = null!;

    public async ValueTask InitializeAsync() => _release = await ReleaseServer.StartAsync();

    public async ValueTask DisposeAsync() => await _release.DisposeAsync();

    [Theory(Timeout = 300_000)]
    [InlineData("flipped")]
    [InlineData("truncated")]
    [InlineData("empty")]
    [InlineData("html")]
    [InlineData("link")]
    public async Task CachedBinary_Damaged_IsNeverGivenOut(string damage)
    {
        var random = new Random(11);
        var content = Program(random, 20_000);
        _release.Publish("1.0", content);
        var path = (await _release.ResolveAsync("1.0"))!.Path;
        for (var round = 0; round < Count(20); round++)
        {
            Damage(path, damage, content, random);

            // Nobody to fetch it from: refused. With a server: the right one again, and the damaged one cannot be run from where it lies.
            (await Should.ThrowAsync<TransferException>(_release.ResolveAsync("1.0", p => p with { Base = null }))).Fault.ShouldBe(TransferFault.Wrong);
            var again = (await _release.ResolveAsync("1.0"))!;
            again.Origin.ShouldBe(BinaryOrigin.Download);
            (await File.ReadAllBytesAsync(again.Path)).ShouldBe(content);
        }

        var aside = Directory.GetFiles(_release.Cache, "*.damaged-*");
        aside.Length.ShouldBe(Count(20));
        aside.Where(f => new FileInfo(f).LinkTarget is null).ShouldAllBe(f => (File.GetUnixFileMode(f) & UnixFileMode.UserExecute) == 0);
        _release.News.Count(n => n.Kind == BinaryNewsKind.Damaged).ShouldBe(Count(20));
        Drill.Report($"cached binary {damage}", Count(20), Count(20));
    }

    [Theory(Timeout = 240_000)]
    [InlineData("cut")]
    [InlineData("no range")]
    [InlineData("changed")]
    [InlineData("changed, same tag")]
    public async Task Download_CutAtRandomBytes_EndsWithTheRightFile(string way)
    {
        var random = new Random(13);
        for (var round = 0; round < Count(30); round++)
        {
            var version = $"1.{round}";
            var (first, second) = (Program(random, 200_000), Program(random, 200_000));
            var path = $"/base/v{version}/{ReleaseServer.Artifact(version)}";
            _release.Publish(version, first);
            _release.Notes.Clear();
            _release.Server.Ranges = way != "no range";
            _release.Server.ETag = $"\"{round}\"";
            var changes = way.StartsWith("changed", StringComparison.Ordinal);
            var cuts = random.Next(1, 4);
            var left = cuts;
            _release.Server.CutBody = (asked, length) => asked == path && left-- > 0 ? random.Next(length) : null;
            if (changes)
            {
                // The release is replaced while its file is on the way; what its list says is true in the end.
                _release.Server.Files[path] = second;
                _release.Publish(version, first);
                _release.Server.Files[$"/base/v{version}/checksums.txt"] =
                    Encoding.UTF8.GetBytes($"{Checksum.Of(second)}  {ReleaseServer.Artifact(version)}\n");
                _release.Server.AfterCut = () =>
                {
                    _release.Server.Files[path] = second;
                    _release.Server.ETag = way == "changed" ? $"\"{round} new\"" : _release.Server.ETag;
                };
            }

            var found = (await _release.ResolveAsync(version))!;
            (await File.ReadAllBytesAsync(found.Path)).ShouldBe(changes ? second : first);
            found.Verified.ShouldBeTrue();
            if (way == "cut")
            {
                _release.Notes.Count(n => n.StartsWith("attempt", StringComparison.Ordinal)).ShouldBe(cuts);
            }

            Directory.GetFiles(_release.Cache, ".*work*").Where(f => !f.EndsWith(".lock", StringComparison.Ordinal)).ShouldBeEmpty();
        }

        Drill.Report($"download {way}", Count(30), Count(30));
    }

    [Fact(Timeout = 300_000)]
    public async Task Resolvers_FiftyAtOnce_FetchOnce()
    {
        for (var round = 0; round < Count(10); round++)
        {
            var version = $"2.{round}";
            _release.Publish(version, Program(new Random(round), 300_000));
            var found = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => Task.Run(() => _release.ResolveAsync(version))));
            found.Select(f => f!.Path).Distinct().ShouldHaveSingleItem();
            found.Count(f => f!.Origin == BinaryOrigin.Download).ShouldBe(1);
            _release.Server.Asked.Count(a => a == $"GET /base/v{version}/{ReleaseServer.Artifact(version)}").ShouldBe(1);
        }

        Drill.Report("fifty resolvers of one program", Count(10), Count(10));
        _release.News.ShouldContain(n => n.Kind == BinaryNewsKind.Waiting && n.Text.StartsWith($"process {Environment.ProcessId} is fetching", StringComparison.Ordinal));
    }

    private static int Count(int full) => Drill.Count(3, full);

    private static byte[] Program(Random random, int length)
    {
        var content = new byte[length];
        random.NextBytes(content);
        content[0] = 0x7f; // neither a script nor an archive
        return content;
    }

    private static void Damage(string path, string damage, byte[] content, Random random)
    {
        switch (damage)
        {
            case "flipped":
                var flipped = content.ToArray();
                flipped[random.Next(flipped.Length)] ^= (byte)(1 << random.Next(8));
                File.WriteAllBytes(path, flipped);
                break;
            case "truncated":
                File.WriteAllBytes(path, content[..random.Next(content.Length)]);
                break;
            case "empty":
                File.WriteAllBytes(path, []);
                break;
            case "html":
                File.WriteAllText(path, "<!doctype html><html>sign in</html>");
                break;
            default:
                File.Move(path, path + ".kept", overwrite: true);
                File.CreateSymbolicLink(path, path + ".kept");
                break;
        }
    }
}
