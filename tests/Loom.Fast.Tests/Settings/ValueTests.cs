using Loom.Core.Settings;
using Microsoft.Extensions.Logging;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Settings;

public sealed class ValueTests
{
    private static readonly ParseContext s_context = new("/project", "/home/user");

    [Theory]
    [InlineData("1", true)]
    [InlineData(" True ", true)]
    [InlineData("YES", true)]
    [InlineData("on", true)]
    [InlineData("0", false)]
    [InlineData("oFF", false)]
    [InlineData("no", false)]
    [InlineData("2", null)]
    [InlineData("enabled", null)]
    [InlineData("", null)]
    public void Bool_Text_IsOneOfEightWords(string text, bool? value) => Read(Setting.Bool("a", "A."), text).ShouldBe(value);

    [Theory]
    [InlineData("30", 30000)]
    [InlineData("0.5", 500)]
    [InlineData("1m30s", 90000)]
    [InlineData("1h1ms", 3600001)]
    [InlineData("0.1s", 100)]
    [InlineData("2d", 172800000)]
    [InlineData("30s1m", null)]
    [InlineData("1s1s", null)]
    [InlineData("0.0001", null)]
    [InlineData("-1", null)]
    [InlineData("1 s", null)]
    [InlineData("1M", null)]
    [InlineData("1e3", null)]
    [InlineData(".5", null)]
    public void Duration_Text_IsNumberOrParts(string text, int? milliseconds) =>
        Read(Setting.Duration("a", "A."), text).ShouldBe(milliseconds is { } ms ? TimeSpan.FromMilliseconds(ms) : null);

    [Theory]
    [InlineData("10", 10_000_000L)]
    [InlineData("10MB", 10_000_000L)]
    [InlineData("10 mib", 10_485_760L)]
    [InlineData("1.5kB", 1500L)]
    [InlineData("1TiB", 1L << 40)]
    [InlineData("0.1B", null)]
    [InlineData("10XB", null)]
    [InlineData("-1", null)]
    public void Size_Text_IsNumberWithUnit(string text, long? bytes) => Read(Setting.Size("a", "A.", unit: "MB"), text).ShouldBe(bytes);

    [Theory]
    [InlineData("9223372036854775807", long.MaxValue)]
    [InlineData("+5", 5L)]
    [InlineData("1_000", null)]
    [InlineData("0x10", null)]
    [InlineData("1.0", null)]
    [InlineData("99999999999999999999", null)]
    public void Int_Text_IsPlainDecimal(string text, long? value) => Read(Setting.Int("a", "A."), text).ShouldBe(value);

    [Theory]
    [InlineData("1.5", 1.5)]
    [InlineData("1e-3", 0.001)]
    [InlineData("inf", null)]
    [InlineData("NaN", null)]
    [InlineData("1,5", null)]
    public void Float_Text_HasAPoint(string text, double? value) => Read(Setting.Float("a", "A."), text).ShouldBe(value);

    [Theory]
    [InlineData("127.0.0.1:8080", "127.0.0.1:8080", true)]
    [InlineData("[::1]:0", "[::1]:0", true)]
    [InlineData("gpu-1.local:65535", "gpu-1.local:65535", false)]
    [InlineData("[::]:80", "[::]:80", false)]
    public void Address_Text_ReadsBack(string text, string shown, bool loopback)
    {
        var address = (HostPort)Read(Setting.Address("a", "A."), text)!;
        address.ToString().ShouldBe(shown);
        address.IsLoopback.ShouldBe(loopback);
    }

    [Theory]
    [InlineData("8080")]
    [InlineData(":8080")]
    public void Address_PortAlone_OffersLoopback(string text) =>
        Setting.Address("a", "A.").Parse(RawValue.Of(text), s_context).Message.ShouldBe("expected host:port, for example 127.0.0.1:8080");

    [Theory]
    [InlineData("::1:80")]
    [InlineData("a:65536")]
    [InlineData("a b:1")]
    [InlineData("host")]
    public void Address_Malformed_IsRefused(string text) => Read(Setting.Address("a", "A."), text).ShouldBeNull();

    [Theory]
    [InlineData("~", "/home/user")]
    [InlineData("~/x", "/home/user/x")]
    [InlineData("a/../b", "/project/b")]
    [InlineData("/abs/", "/abs/")]
    public void Path_Text_BecomesAbsolute(string text, string path) => Read(Setting.Path("a", "A."), text).ShouldBe(path);

    [Theory]
    [InlineData("HTTP://host:1/v1/", "HTTP://host:1/v1")]
    [InlineData("ftp://host", null)]
    [InlineData("/v1", null)]
    [InlineData("http://", null)]
    public void Url_Text_HasAKnownScheme(string text, string? url) => (Read(Setting.Url("a", "A."), text) as Uri)?.OriginalString.ShouldBe(url);

    [Theory]
    [InlineData("a, b ,c", "a|b|c")]
    [InlineData("[\"a,b\", \"c\"]", "a,b|c")]
    [InlineData("", "")]
    [InlineData("a,,b", null)]
    [InlineData("[1, \"b\"]", "1|b")]
    [InlineData("[{}]", null)]
    [InlineData("[\"a\"", null)]
    public void List_Text_IsCommasOrJson(string text, string? items)
    {
        var value = Read(Setting.List("a", "A."), text);
        (value is System.Collections.Immutable.ImmutableArray<string> list ? string.Join('|', list) : null).ShouldBe(items);
    }

    [Theory]
    [InlineData("x,y", "x,y")]
    [InlineData("+asyncio,-gc", "os,sys,asyncio")]
    [InlineData("+os", "sys,gc,os")]
    [InlineData("+a,b", null)]
    public void Set_SignedItems_ChangeTheDefault(string text, string? items)
    {
        var value = Read(Setting.Set("a", "A.", "os,sys,gc"), text);
        (value is System.Collections.Immutable.ImmutableArray<string> list ? string.Join(',', list) : null).ShouldBe(items);
    }

    [Fact]
    public void String_Length_CountsCharactersNotUnits()
    {
        var setting = Setting.String("a", "A.", min: "1", max: "2");
        Read(setting, "😀😀").ShouldBe("😀😀");
        Read(setting, "😀😀😀").ShouldBeNull();
        Read(setting, "").ShouldBeNull();
        Read(Setting.String("a", "A."), " x ").ShouldBe(" x ");
    }

    [Theory]
    [InlineData("a\nb")]
    [InlineData("a\u0001")]
    public void Secret_ControlCharacter_IsRefusedWithoutQuotingIt(string text)
    {
        var judgement = Setting.Hidden("a", "A.").Parse(RawValue.Of(text), s_context);
        judgement.Ok.ShouldBeFalse();
        judgement.Message.ShouldNotContain(text);
    }

    [Fact]
    public void Secret_InText_IsRedacted()
    {
        $"{Secret.Token("abc")} {Secret.Named("abc", "KEY")}".ShouldBe("token:ba7816 [redacted:KEY]");
        Secret.Token("abc").Equals(Secret.Token("abc")).ShouldBeTrue();
        Secret.Token("abc").Equals(Secret.Token("abd")).ShouldBeFalse();
    }

    [Theory]
    [InlineData("http://u:p@h/x", "http://[redacted]@h/x")]
    [InlineData("a://p@w@h,b://x:y@z", "a://[redacted]@h,b://[redacted]@z")]
    [InlineData("mail@host http://h/a@b", "mail@host http://h/a@b")]
    public void Redaction_UserPartOfUrls_IsGone(string text, string shown) => Redaction.Plain(text).ShouldBe(shown);

    [Theory]
    [InlineData("info", "Loom.Node.X", LogLevel.Information)]
    [InlineData("warn,pool_managerd=debug", "Loom.Node.Engines", LogLevel.Debug)]
    [InlineData("warn,pool_managerd=debug", "Loom.NodeOther", LogLevel.Warning)]
    [InlineData("pool-managerd=debug,ENGINE_PROVISIONER=off", "Loom.Node.Provisioning.X", LogLevel.None)]
    [InlineData("Loom::Control=trace", "Loom.Control.Api", LogLevel.Trace)]
    [InlineData("info,queen-rbee=debug", "queen-rbee", LogLevel.Debug)]
    [InlineData("info,pool_managerd=debug", "pool-managerd", LogLevel.Debug)]
    [InlineData("info,pool_managerd=debug", "queen-rbee", LogLevel.Information)]
    public void Log_LongestTarget_Decides(string directive, string category, LogLevel level) => LogDirective.TryParse(directive)!.LevelOf(category).ShouldBe(level);

    [Theory]
    [InlineData("verbose")]
    [InlineData("")]
    [InlineData("=debug")]
    [InlineData("queen-rbee=loud")]
    public void Log_Malformed_IsRefused(string directive) => LogDirective.TryParse(directive).ShouldBeNull();

    [Fact]
    public void Log_FiltersOfOthers_ArePassedOver()
    {
        var directive = LogDirective.TryParse("info,[span{x=1}]=debug,tower=warn")!;
        directive.PassedOver.ShouldBe(["[span{x=1}]=debug"]);
        directive.UnknownTargets.ShouldBe(["tower"]);
    }

    [Theory]
    [InlineData("${A}", "1")]
    [InlineData("x${A}y${B:-}z", "x1y2z")]
    [InlineData("${E}", "")]
    [InlineData("${E:-d}", "d")]
    [InlineData("${U:-a${A}", "a${A")]
    [InlineData("$${A} $A $$", "${A} $A $$")]
    [InlineData("${N}", "${A}")]
    public void References_Forms_GiveTheirText(string text, string result) => References.Expand(text, Lookup, builtIn: null)!.Text.ShouldBe(result);

    [Theory]
    [InlineData("${U}", FaultCode.UnsetReference)]
    [InlineData("${U:?say}", FaultCode.UnsetReference)]
    [InlineData("${E:?say}", FaultCode.UnsetReference)]
    [InlineData("${A", FaultCode.BadReference)]
    [InlineData("${}", FaultCode.BadReference)]
    [InlineData("${A:+x}", FaultCode.BadReference)]
    [InlineData("${agent.name}", FaultCode.BadReference)]
    [InlineData("$NAME", FaultCode.BadReference)]
    public void References_Faults_AreTold(string text, FaultCode code) => References.Expand(text, Lookup, builtIn: null)!.Faults.ShouldHaveSingleItem().Code.ShouldBe(code);

    [Theory]
    [InlineData("dashbord", "dashboard", 1)]
    [InlineData("ab", "ba", 1)]
    [InlineData("", "abc", 3)]
    [InlineData("ORCHESTRATOR_BIND", "orchestratord_bind", 1)]
    public void Nearest_Distance_CountsEdits(string a, string b, int distance) => Nearest.Distance(a, b).ShouldBe(distance);

    [Theory]
    [InlineData("a.b", "a|b")]
    [InlineData("a.\"x.y\".c", "a|x.y|c")]
    [InlineData("a..b", null)]
    [InlineData("a.\"x", null)]
    [InlineData("", null)]
    public void Key_Split_UnderstandsQuotes(string key, string? parts)
    {
        var split = KeyText.Split(key);
        (split is null ? null : string.Join('|', split)).ShouldBe(parts);
        if (split is not null)
        {
            KeyText.Join(split).ShouldBe(key);
        }
    }

    private static string? Lookup(string name) => name switch
    {
        "A" => "1",
        "B" => "2",
        "E" => "",
        "N" => "${A}",
        _ => null,
    };

    private static object? Read(Setting setting, string text) => setting.Parse(RawValue.Of(text), s_context).Value;
}
