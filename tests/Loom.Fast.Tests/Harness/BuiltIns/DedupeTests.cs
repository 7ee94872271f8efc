using Loom.Components;
using Loom.Harness.Components.BuiltIns.Keyed;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.BuiltIns;

public sealed class DedupeTests
{
    [Fact]
    public async Task Key_Repeated_OnlyTheFirstPasses()
    {
        var dedupe = new DedupeTransformer(new DedupeOptions { Key = Hand.Expr("data.u") });
        (await dedupe.Give("""{"u":"a"}""", 0)).ShouldBe(["src:0:0 {\"u\":\"a\"}"]);
        (await dedupe.Give("""{"u":"a"}""", 1)).ShouldBeEmpty();
        (await dedupe.Give("""{"u":"b"}""", 2)).ShouldHaveSingleItem();
        (await Should.ThrowAsync<ItemException>(async () => await dedupe.Give("{}"))).Code.ShouldBe("missing_field");
    }

    [Fact]
    public async Task MaxKeys_Full_ForgetsTheOneNotMetForLongest()
    {
        var dedupe = new DedupeTransformer(new DedupeOptions { Key = Hand.Expr("data"), MaxKeys = 2 });
        await dedupe.Give("1");
        await dedupe.Give("2");
        (await dedupe.Give("1")).ShouldBeEmpty();
        await dedupe.Give("3");
        (await dedupe.Give("1")).ShouldBeEmpty();
        (await dedupe.Give("2")).ShouldHaveSingleItem();
    }

    [Fact]
    public async Task Ttl_Passed_CountsAsNew()
    {
        var dedupe = new DedupeTransformer(new DedupeOptions { Key = Hand.Expr("data"), Ttl = TimeSpan.FromSeconds(10) });
        await dedupe.Give("1", 0, 0);
        (await dedupe.Give("1", 1, 9)).ShouldBeEmpty();
        (await dedupe.Give("1", 2, 10)).ShouldHaveSingleItem();
        (await dedupe.Give("1", 3, 19)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Restored_KnowsWhatItHadSeen()
    {
        var dedupe = new DedupeTransformer(new DedupeOptions());
        await dedupe.Give("1", 5);
        var write = (await dedupe.SnapshotAsync(default))!;
        await dedupe.Give("1", 6);
        var bytes = new MemoryStream();
        await write(bytes, default);
        bytes.Position = 0;
        var next = new DedupeTransformer(new DedupeOptions());
        await next.RestoreAsync(new RestoredState(1, bytes), default);
        (await next.Give("1", 5)).ShouldBeEmpty();
        (await next.Give("1", 6)).ShouldHaveSingleItem();
    }

    [Fact]
    public void ConstantKey_Refused() => Hand.Faults(new DedupeOptions { Key = Hand.Expr("'a'") }).ShouldHaveSingleItem().ShouldContain("same for all events");
}
