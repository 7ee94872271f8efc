using Loom.Node.Gguf;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Gguf;

public sealed class GgufPartsTests
{
    private readonly Dictionary<string, long> _files = new()
    {
        ["/m/big-00001-of-00003.gguf"] = 1,
        ["/m/big-00002-of-00003.gguf"] = 20,
        ["/m/big-00003-of-00003.gguf"] = 300,
    };

    [Fact]
    public void OtherBytes_AllThere_IsTheirSum() => Bytes("/m/big-00001-of-00003.gguf", 3).ShouldBe(320);

    [Fact]
    public void OtherBytes_WholeModel_IsNothing() => Bytes("/m/whole.gguf", 1).ShouldBe(0);

    [Theory]
    [InlineData("/m/alone-00001-of-00003.gguf", "part 1 of 3; the other parts are missing beside it")]
    [InlineData("/m/big-00002-of-00003.gguf", "part 2 of 3; use part 1")]
    [InlineData("/m/renamed.gguf", "not named like one (NAME-00001-of-00003.gguf)")]
    [InlineData("/m/big-00001-of-00002.gguf", "not named like one")]
    public void OtherBytes_NotLoadable_SaysWhatToDo(string path, string part) => Should.Throw<GgufException>(() => Bytes(path, 3)).Message.ShouldContain(part);

    [Fact]
    public void OtherBytes_OneMissing_NamesIt()
    {
        _files.Remove("/m/big-00003-of-00003.gguf");
        Should.Throw<GgufException>(() => Bytes("/m/big-00001-of-00003.gguf", 3)).Message.ShouldContain("part 3 is missing");
    }

    private long Bytes(string path, int count) => GgufParts.OtherBytes(path, count, file => _files.TryGetValue(file, out var length) ? length : null);
}
