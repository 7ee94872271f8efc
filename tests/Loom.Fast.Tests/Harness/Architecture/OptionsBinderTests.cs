using System.Text;
using System.Text.Json;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Components.Options;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Architecture;

public sealed class OptionsBinderTests
{
    [Fact]
    public void Bind_EveryKindOfValue_IsRead()
    {
        var (options, lines) = Bind<Parts.EachOptions>("""
            copies: 7
            fields: [a, b]
            weights: { x: 1, y: 2 }
            limits: { low: 2, high: 5 }
            every: 1m30s
            url: https://host/path
            ratio: 0.5
            max_bytes: 4MiB
            quality: fast
            free: { any: [1, true] }
            maybe: 3
            """);
        lines.ShouldBeEmpty();
        options!.Copies.ShouldBe(7);
        options.Fields.ShouldBe(["a", "b"]);
        options.Weights["y"].ShouldBe(2);
        options.Limits.ShouldBe(new Parts.Limits { Low = 2, High = 5 });
        options.Every.ShouldBe(TimeSpan.FromSeconds(90));
        options.Url.ShouldBe(new Uri("https://host/path"));
        options.Ratio.ShouldBe(0.5);
        options.MaxBytes.ShouldBe(4 << 20);
        options.Quality.ShouldBe("fast");
        options.Free.GetRawText().ShouldBe("""{"any":[1,true]}""");
        options.Maybe.ShouldBe(3);
    }

    [Fact]
    public void Bind_ManyErrors_TellsAllOfThemAtTheirPlaces() => Bind<Parts.EachOptions>("""
        copies: 700
        felds: [a]
        weights: { x: one }
        limits: { low: 20 }
        every: soon
        url: nowhere
        quality: fst
        maybe: "3"
        """).Lines.ShouldBe([
        "x.yaml:1:9: error LH404: component \"c\": copies is 700; allowed is 1 to 100",
        "x.yaml:2:1: error LH401: component \"c\" has no config key \"felds\"; did you mean \"fields\"? (keys: copies, fields, weights, limits, every, url, ratio, max_bytes, quality, free, maybe)",
        "x.yaml:3:15: error LH403: component \"c\": weights.x is \"one\"; a whole number is wanted",
        "x.yaml:4:16: error LH405: component \"c\": limits: low 20 is above high 10; make these keys agree",
        "x.yaml:5:8: error LH403: component \"c\": every is \"soon\"; a time such as 5s, 500ms or 2m, or a number of seconds is wanted",
        "x.yaml:6:6: error LH403: component \"c\": url is \"nowhere\"; an absolute URL is wanted",
        "x.yaml:7:10: error LH404: component \"c\": quality is \"fst\"; did you mean fast? allowed is fast, good",
        "x.yaml:8:8: error LH403: component \"c\": maybe is \"3\"; a whole number is wanted; remove the quotes",
    ]);

    [Fact]
    public void Bind_FromJson_FollowsTheSameRules()
    {
        var findings = new FindingList();
        var binder = new OptionsBinder("component \"c\"", findings);
        using var good = JsonDocument.Parse("""{"path": "a", "settle_ms": 20, "on_bad_line": "skip_line"}""");
        binder.Bind(typeof(Parts.LinesOptions), good.RootElement, "set_config").ShouldBe(
            new Parts.LinesOptions { Path = "a", SettleMs = TimeSpan.FromMilliseconds(20), OnBadLine = Parts.BadLine.SkipLine });
        using var bad = JsonDocument.Parse("""{"settle_ms": "x"}""");
        binder.Bind(typeof(Parts.LinesOptions), bad.RootElement, "set_config").ShouldBeNull();
        findings.Sorted().Select(f => f.ToString()).ShouldBe(
        [
            "set_config: error LH402: component \"c\" needs config key \"path\": Path of the file; add it",
            "set_config: error LH403: component \"c\": settle_ms is \"x\"; a number of milliseconds is wanted",
        ]);
    }

    private static (T? Options, string[] Lines) Bind<T>(string text)
        where T : class
    {
        var findings = new FindingList();
        var node = YamlReader.Read("x.yaml", Encoding.UTF8.GetBytes(text), findings)!;
        var options = (T?)new OptionsBinder("component \"c\"", findings).Bind(typeof(T), node, node);
        return (options, [.. findings.Sorted().Select(f => f.ToString())]);
    }
}
