using Loom.Core.Binaries;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Binaries;

public sealed class RememberedSumsTests
{
    [Fact]
    public async Task OfFile_RewrittenWithSizeAndTimeAsBefore_IsReadAgain()
    {
        using var folder = new TempFolder();
        var file = Path.Combine(folder.Path, "x");
        await File.WriteAllTextAsync(file, "one", TestContext.Current.CancellationToken);
        var written = File.GetLastWriteTimeUtc(file);
        var sums = new RememberedSums();
        var first = await sums.OfFileAsync(file, TestContext.Current.CancellationToken);

        await File.WriteAllTextAsync(file, "two", TestContext.Current.CancellationToken);
        File.SetLastWriteTimeUtc(file, written);

        first.ShouldBe(Checksum.Of("one"u8));
        (await sums.OfFileAsync(file, TestContext.Current.CancellationToken)).ShouldBe(Checksum.Of("two"u8));
        await Should.ThrowAsync<IOException>(() => sums.OfFileAsync(file + ".none", TestContext.Current.CancellationToken));
    }
}
