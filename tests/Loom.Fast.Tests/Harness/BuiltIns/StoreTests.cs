using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Keyed;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.BuiltIns;

public sealed class StoreTests
{
    [Fact]
    public async Task Store_PutGetDelete_Answered()
    {
        var store = await Make(new StoreOptions());
        (await store.Give("""{"op":"get","key":"a"}""")).ShouldBe(["src:0:0 {\"found\":false,\"value\":null}"]);
        await store.Give("""{"op":"put","key":"a","value":{"x":1}}""");
        (await store.Give("""{"op":"get","key":"a"}""")).ShouldBe(["src:0:0 {\"found\":true,\"value\":{\"x\":1}}"]);
        await store.Give("""{"op":"delete","key":"a"}""");
        (await store.Give("""{"op":"get","key":"a"}""")).Single().ShouldContain("\"found\":false");
    }

    [Theory]
    [InlineData("5")]
    [InlineData("""{"op":"get"}""")]
    [InlineData("""{"op":"put","key":"a"}""")]
    [InlineData("""{"op":"swap","key":"a"}""")]
    public async Task Store_WrongRequest_AnsweredWithAnError(string request) => (await (await Make(new StoreOptions())).Give(request)).Single().ShouldContain("\"error\":");

    [Fact]
    public async Task Store_Ttl_Expires_AndFullSaysSo()
    {
        var time = new ManualTimeProvider();
        var store = await Make(new StoreOptions { Ttl = TimeSpan.FromSeconds(10), MaxKeys = 1 }, time);
        await store.Give("""{"op":"put","key":"a","value":1}""");
        (await store.Give("""{"op":"put","key":"b","value":1}""")).Single().ShouldContain("max_keys");
        time.Advance(TimeSpan.FromSeconds(9));
        (await store.Give("""{"op":"get","key":"a"}""")).Single().ShouldContain("\"found\":true");
        time.Advance(TimeSpan.FromSeconds(1));
        (await store.Give("""{"op":"put","key":"b","value":1}""")).Single().ShouldNotContain("error");
        (await store.Give("""{"op":"get","key":"a"}""")).Single().ShouldContain("\"found\":false");
    }

    [Fact]
    public async Task Store_Restored_HasItsValues()
    {
        var store = await Make(new StoreOptions());
        await store.Give("""{"op":"put","key":"a","value":[1]}""");
        var next = await new StoreComponent(new StoreOptions(), TimeProvider.System).Restored(store);
        (await next.Give("""{"op":"get","key":"a"}""")).Single().ShouldContain("[1]");
    }

    [Fact]
    public void Sqlite_PutGetDelete_InTheDatabase()
    {
        using var values = SqliteValues.Open(":memory:", "odd \"name");
        values.Get("a", 0).ShouldBeNull();
        values.Put("a", JsonElement.Parse("1"), 100, 0);
        values.Put("a", JsonElement.Parse("""{"b":"é"}"""), 100, 0);
        values.Get("a", 99)!.Value.GetRawText().ShouldBe("""{"b":"é"}""");
        values.Get("a", 100).ShouldBeNull();
        values.Delete("a");
        values.Get("a", 0).ShouldBeNull();
    }

    [Fact]
    public async Task Lookup_Get_AddsWhatIsKept()
    {
        var store = await Make(new StoreOptions());
        var put = await new LookupTransformer(new LookupOptions { Op = StoreOp.Put, Key = Hand.Expr("data.id"), Value = Hand.Expr("data.name") }).Ready(null, store);
        (await put.Give("""{"id":7,"name":"N"}""")).ShouldBe(["src:0:0 {\"id\":7,\"name\":\"N\"}"]);
        var get = await Get(NotFound.Null);
        (await get.Give("""{"user":7}""")).ShouldBe(["src:0:0/0 {\"user\":7,\"who\":\"N\"}"]);
        (await get.Give("""{"user":8}""")).ShouldBe(["src:0:0/0 {\"user\":8,\"who\":null}"]);
        (await (await Get(NotFound.Drop)).Give("""{"user":8}""")).ShouldBeEmpty();
        (await Should.ThrowAsync<ItemException>(async () => await (await Get(NotFound.Error)).Give("""{"user":8}"""))).Code.ShouldBe("not_found");
        var delete = await new LookupTransformer(new LookupOptions { Op = StoreOp.Delete, Key = Hand.Expr("data.user") }).Ready(null, store);
        (await delete.Give("""{"user":7}""")).ShouldHaveSingleItem();
        (await get.Give("""{"user":7}""")).Single().ShouldContain("null");

        Task<LookupTransformer> Get(NotFound rule) => new LookupTransformer(new LookupOptions { Key = Hand.Expr("data.user"), Into = "who", OnMissing = rule }).Ready(null, store);
    }

    [Fact]
    public async Task Lookup_StoreRefuses_ItemError()
    {
        var full = await Make(new StoreOptions { MaxKeys = 1 });
        await full.Give("""{"op":"put","key":"a","value":1}""");
        var put = await new LookupTransformer(new LookupOptions { Op = StoreOp.Put, Key = Hand.Expr("data.id") }).Ready(null, full);
        (await Should.ThrowAsync<ItemException>(async () => await put.Give("""{"id":"b"}"""))).Code.ShouldBe("store_error");
    }

    private static Task<StoreComponent> Make(StoreOptions options, TimeProvider? time = null) => new StoreComponent(options, time ?? TimeProvider.System).Ready(time);
}
