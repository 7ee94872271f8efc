using System.Text.Json.Serialization;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Components;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.BuiltIns;

public sealed partial class TypedStoreTests
{
    [Fact]
    public async Task PutGetDelete_OfTypedValues_AreAnsweredUnderTheRequestsId()
    {
        var store = new People();
        (await store.Give("""{"op": "put", "key": 7, "value": {"Name": "Ada"}}""")).ShouldBe(["src:0:0 {\"found\":false,\"value\":null}"]);
        (await store.Give("""{"op": "get", "key": 7}""")).ShouldBe(["src:0:0 {\"found\":true,\"value\":{\"Name\":\"Ada\"}}"]);
        await store.Give("""{"op": "delete", "key": 7}""");
        (await store.Give("""{"op": "get", "key": 7}""")).ShouldBe(["src:0:0 {\"found\":false,\"value\":null}"]);
    }

    [Theory]
    [InlineData("""{"op": "get"}""", "a request is")]
    [InlineData("""{"op": "keep", "key": 1}""", "there is no op")]
    [InlineData("""{"op": "put", "key": 1}""", "put needs a value")]
    [InlineData("""{"op": "get", "key": "x"}""", "could not be converted")]
    [InlineData("7", "a request is")]
    public async Task Request_ThatIsNone_IsAnsweredWithTheError(string request, string says)
    {
        var answer = (await new People().Give(request)).ShouldHaveSingleItem();
        answer.ShouldContain("\"error\":");
        answer.ShouldContain(says);
    }

    [Fact]
    public void Describe_OfTheBase_IsAStoreThatAnswers()
    {
        var descriptor = ComponentDescriber.Describe(typeof(People));
        descriptor.Type.ShouldBe(ComponentType.Store);
        descriptor.Ports(null).Where(p => p.Class is SemanticClass.DataIn or SemanticClass.DataOut).ShouldAllBe(p => p.Flow == FlowType.RequestResponse);
    }

    internal sealed record Person(string Name);

    [JsonSerializable(typeof(Person))]
    [JsonSerializable(typeof(int))]
    internal sealed partial class PeopleJson : JsonSerializerContext;

    private sealed class People() : Store<int, Person>(PeopleJson.Default.Int32, PeopleJson.Default.Person)
    {
        private readonly Dictionary<int, Person> _people = [];

        protected override ValueTask<Person?> GetAsync(int key, CancellationToken ct) => new(_people.GetValueOrDefault(key));

        protected override ValueTask PutAsync(int key, Person value, CancellationToken ct)
        {
            _people[key] = value;
            return default;
        }

        protected override ValueTask DeleteAsync(int key, CancellationToken ct)
        {
            _people.Remove(key);
            return default;
        }
    }
}
