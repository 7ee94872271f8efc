using FsCheck;
using FsCheck.Fluent;
using Loom.Node.Demo;
using Loom.Node.Gguf;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Gguf;

public sealed class GgufReaderTests
{
    private static readonly byte[] s_demo = WriteDemo();

    [Fact]
    public void Read_DemoModel_TellsWhatFitNeeds()
    {
        var model = Read(s_demo);

        model.Architecture.ShouldBe("llama");
        model.Description.ShouldBe(DemoModel.Description);
        model.ContextLength.ShouldBe(2048);
        model.BlockCount.ShouldBe(1);
        model.HeadCount.ShouldBe(1);
        model.KvHeadCounts.ShouldBe([1]);
        model.TokenizerModel.ShouldBe("gpt2");
        model.VocabularySize.ShouldBeGreaterThan(1000);
        model.HasChatTemplate.ShouldBeTrue();
        model.WeightType.ShouldBe("Q8_0");
        model.WeightBytes.ShouldBeInRange(3 << 20, s_demo.Length);
        model.KvBytes(contextLength: 2048, slots: 4).ShouldBe(2048 * 4 * 64 * 2);
    }

    [Fact]
    public void Read_FileCutAnywhere_SaysSo()
    {
        Prop.ForAll(Gen.Choose(0, s_demo.Length - 1).ToArbitrary(), length =>
        {
            var error = Should.Throw<GgufException>(() => Read(s_demo[..length]));
            error.Message.ShouldStartWith("not a usable GGUF model: ");
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Read_HeaderDamagedAnywhere_NeverFailsOtherwise()
    {
        // The header's numbers decide lengths and counts: damage must end in a model or in a GgufException, nothing else, and soon.
        var damage = from at in Gen.Frequency((1, Gen.Choose(0, 2_000)), (1, Gen.Choose(0, 30_000)))
                     from bytes in Gen.ArrayOf(Gen.Choose(0, 255), 4)
                     select (at, bytes);
        Prop.ForAll(damage.ToArbitrary(), d =>
        {
            var file = s_demo.ToArray();
            for (var i = 0; i < d.bytes.Length; i++)
            {
                file[d.at + i] = (byte)d.bytes[i];
            }

            try
            {
                Read(file);
            }
            catch (GgufException)
            {
            }
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(new byte[0], "does not begin with 'GGUF'")]
    [InlineData(new byte[] { 0x50, 0x4b, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, "does not begin with 'GGUF'")]
    [InlineData(new byte[] { 0x47, 0x47, 0x55, 0x46, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, "GGUF version 9 was found")]
    [InlineData(new byte[] { 0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0 }, "the number of tensors is")]
    [InlineData(new byte[] { 0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0 }, "the file ends after 24 bytes")]
    [InlineData(new byte[] { 0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, "lacks 'general.architecture'")]
    public void Read_NoModel_SaysWhatIsWrong(byte[] file, string expected) => Should.Throw<GgufException>(() => Read(file)).Message.ShouldContain(expected);

    [Fact]
    public void Read_HeadCountsAsList_AddsThemUp()
    {
        using var writer = new GgufWriter();
        writer.Add("general.architecture", "mixed");
        writer.Add("mixed.block_count", 3u);
        writer.Add("mixed.embedding_length", 512u);
        writer.Add("mixed.attention.head_count", [8, 8, 8]);
        writer.Add("mixed.attention.head_count_kv", [4, 0, 2]);

        Written(writer).KvElementsPerToken.ShouldBe((4 + 0 + 2) * (64 + 64));
    }

    [Fact]
    public void Read_ControlCharactersInName_AreBlanked()
    {
        using var writer = new GgufWriter();
        writer.Add("general.architecture", "llama");
        writer.Add("general.name", "a\u001b[2Jb\n");

        Written(writer).Name.ShouldBe("a [2Jb ");
    }

    private static GgufModel Written(GgufWriter writer)
    {
        using var file = new MemoryStream();
        writer.Write(file);
        return Read(file.ToArray());
    }

    private static GgufModel Read(byte[] file) => GgufReader.Read(new MemoryStream(file), file.Length);

    private static byte[] WriteDemo()
    {
        using var file = new MemoryStream();
        DemoModelWriter.Write(file);
        return file.ToArray();
    }
}
