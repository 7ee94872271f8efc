using Loom.Core.Gpus;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Gpus;

public sealed class NvmlLibraryTests
{
    [Fact]
    public void TryLoad_MissingLibrary_SaysSoAndThrowsNothing()
    {
        NvmlLibrary.TryLoad("libnvidia-ml-that-nobody-has.so.1", out var library, out var trouble).ShouldBeFalse();
        library.ShouldBeNull();
        trouble.ShouldContain("not installed");
    }

    [Fact]
    public void TryLoad_OtherLibrary_IsRefused()
    {
        NvmlLibrary.TryLoad("libc.so.6", out _, out var trouble).ShouldBeFalse();
        trouble.ShouldContain("lacks calls");
    }

    [Fact]
    public async Task Read_TheDriverOfThisMachine_AnswersOrSaysWhyNot()
    {
        var source = new NvmlSource(() => NvmlLibrary.TryLoad(NvmlLibrary.FileName, out var library, out var trouble) ? (library, "") : (null, trouble), () => 0, _ => false, TimeProvider.System);

        var reading = await source.ReadAsync(default);

        if (reading.Devices is { } devices)
        {
            devices.ShouldAllBe(d => d.Uuid.StartsWith("GPU-", StringComparison.Ordinal) && d.VramTotalBytes > 0);
        }
        else
        {
            reading.Trouble.ShouldNotBeNullOrEmpty();
        }
    }
}
