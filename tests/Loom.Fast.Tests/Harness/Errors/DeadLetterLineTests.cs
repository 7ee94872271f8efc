using System.Buffers;
using System.Text;
using System.Text.Json;
using Loom.Harness.Errors;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Errors;

public sealed class DeadLetterLineTests
{
    [Fact]
    public void Write_ThenRead_GivesTheSameLetterOnOneLineOfPlainJson()
    {
        var letter = Letter("{ \"text\" : \"zwei\\nZeilen – 日本\",\n \"n\": 1.50 }");
        var line = Line(letter);

        line.Count((byte)'\n').ShouldBe(1);
        using var json = JsonDocument.Parse(line);
        json.RootElement.GetProperty("code").GetString().ShouldBe("bad");
        json.RootElement.GetProperty("payload").GetProperty("text").GetString().ShouldBe("zwei\nZeilen – 日本");
        json.RootElement.EnumerateObject().Last().Name.ShouldBe("crc32c");

        var read = DeadLetterLine.Read(line.AsSpan(0, line.Length - 1)).Letter.ShouldNotBeNull();
        read.Record.Event.ShouldBe(letter.Record.Event);
        read.Record.Exceptions.ShouldBe(letter.Record.Exceptions);
        read.Headers.ShouldBe(letter.Headers);
        read.Payload.GetProperty("n").GetRawText().ShouldBe("1.50");
    }

    [Fact]
    public void Read_OneBitFlippedOrCutAnywhere_IsSeen()
    {
        var line = Line(Letter("""{"a":[1,2,3]}"""))[..^1];
        for (var bit = 0; bit < line.Length * 8; bit++)
        {
            var damaged = (byte[])line.Clone();
            damaged[bit / 8] ^= (byte)(1 << (bit % 8));
            DeadLetterLine.Read(damaged).Damage.ShouldNotBeNull($"bit {bit}");
        }

        for (var length = 0; length < line.Length; length++)
        {
            DeadLetterLine.Read(line.AsSpan(0, length)).Damage.ShouldNotBeNull($"cut at {length}");
        }
    }

    [Theory]
    [InlineData(62)]
    [InlineData(64)]
    [InlineData(500)]
    public void Write_PayloadThatNestsAsDeepAsOneMay_IsRead(int levels)
    {
        var payload = new string('[', levels) + new string(']', levels);
        var line = Line(Letter("0") with { Payload = JsonElement.Parse(payload, new JsonDocumentOptions { MaxDepth = 1000 }) });
        DeadLetterLine.Read(line.AsSpan(0, line.Length - 1)).Letter.ShouldNotBeNull().Payload.GetRawText().ShouldBe(payload);
    }

    [Fact]
    public void Read_LineOfAnOlderVersion_HasTheKeyOfItsRecord()
    {
        var line = Line(Letter("1"));
        Encoding.UTF8.GetString(line).ShouldContain("\"headers\":{\"h\":\"v\"},\"payload\":1,", customMessage: "what nothing secret is in is written as before");
        DeadLetterLine.Read(line.AsSpan(0, line.Length - 1)).Letter.ShouldNotBeNull().Key.ShouldBe("k");
    }

    [Fact]
    public void Read_RetriedMark_NamesItsLetter()
    {
        var line = new ArrayBufferWriter<byte>();
        DeadLetterLine.WriteRetried("19a-\"1", DateTimeOffset.UnixEpoch, line);
        var content = DeadLetterLine.Read(line.WrittenSpan[..^1]);
        content.Retried.ShouldBe("19a-\"1");
        content.Letter.ShouldBeNull();
        Encoding.UTF8.GetString(line.WrittenSpan).ShouldStartWith("{\"retried\":");
    }

    [Theory]
    [InlineData("{\"p\":\"\\ud83d\"}")]
    [InlineData("{\"p\":\r\n[\"\\uDC00\"],\n\"\\udfff\":1}")]
    public void Write_HalfASurrogatePair_IsALetterThatHoldsItAsItCame(string payload)
    {
        var line = Line(Letter(payload));

        line.Count((byte)'\n').ShouldBe(1);
        line.ShouldNotContain((byte)'\r');
        var read = DeadLetterLine.Read(line.AsSpan(0, line.Length - 1)).Letter.ShouldNotBeNull();
        read.Payload.GetRawText().ReplaceLineEndings("").Replace(" ", "", StringComparison.Ordinal).ShouldBe(payload.ReplaceLineEndings(""));
    }

    [Fact]
    public void Of_PayloadThatCannotBeWritten_IsALetterThatSaysSo()
    {
        var document = JsonDocument.Parse("[1]");
        var letter = Letter("1") with { Payload = document.RootElement };
        document.Dispose();

        var line = DeadLetterLine.Of(letter).WrittenSpan;

        var read = DeadLetterLine.Read(line[..^1]).Letter.ShouldNotBeNull();
        read.Record.ErrorId.ShouldBe(letter.Record.ErrorId);
        read.Payload.GetString()!.ShouldStartWith("this payload could not be written: ");
    }

    [Fact]
    public void Write_TextOfARecordThatIsHalfASurrogatePair_IsALetter()
    {
        var letter = Letter("1");
        var line = Line(letter with { Record = letter.Record with { Message = "cut \ud83d" }, Headers = new Dictionary<string, string> { ["h"] = "\udc00" } });

        DeadLetterLine.Read(line.AsSpan(0, line.Length - 1)).Letter.ShouldNotBeNull().Record.Message.ShouldStartWith("cut ");
    }

    internal static DeadLetter Letter(string payload, string id = "1-a-1", string component = "store") => new(
        new ErrorRecord
        {
            ErrorId = id,
            Time = DateTimeOffset.UnixEpoch,
            System = "s",
            Version = "1.0.0",
            Component = component,
            Instance = "i",
            Port = "in",
            Event = new ErrorEvent("src:0:1", "k", DateTimeOffset.UnixEpoch),
            Attempt = 2,
            Code = "bad",
            Message = "m",
            Exceptions = [new ErrorCause("T", "m")],
            Retryable = false,
            Mock = false,
        },
        new Dictionary<string, string> { ["h"] = "v" },
        JsonDocument.Parse(payload).RootElement);

    private static byte[] Line(DeadLetter letter)
    {
        var line = new ArrayBufferWriter<byte>();
        DeadLetterLine.Write(letter, line);
        return line.WrittenSpan.ToArray();
    }
}
