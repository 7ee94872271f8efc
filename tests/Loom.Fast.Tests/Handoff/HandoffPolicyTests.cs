using Loom.Core.Storage;
using Loom.Fast.Tests.Node;
using Loom.Node.Handoff;
using Loom.Node.Plans;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Handoff;

public sealed class HandoffPolicyTests
{
    private static readonly PoolPlan s_chat = Fixtures.Pool();
    private static readonly PoolPlan s_far = new() { Id = "far", Engine = new EnginePlan { Name = "far", Kind = EngineKinds.OpenAI, Provider = "p" } };

    private static readonly HandoffSurroundings s_around = new(1000, id => id == "chat" ? s_chat : id == "far" ? s_far : null,
        pool => pool == s_far ? new Uri("https://api.example/v1") : null);

    [Theory]
    [InlineData("chat-r0.json", FileKind.Regular, true)]
    [InlineData(".chat-r0.json.tmp", FileKind.Regular, false)]
    [InlineData(".chat-r0.json", FileKind.Regular, false)]
    [InlineData("chat-r0.json", FileKind.Link, false)]
    [InlineData("chat-r0.json", FileKind.Folder, false)]
    [InlineData("chat-r0.txt", FileKind.Regular, false)]
    public void IsHandoff_Name_OnlyRegularJson(string name, FileKind kind, bool expected) => HandoffPolicy.IsHandoff(name, kind).ShouldBe(expected);

    [Theory]
    [InlineData(1000u, 10, true)]
    [InlineData(0u, 10, true)]
    [InlineData(1001u, 10, false)]
    [InlineData(1000u, (1 << 20) + 1, false)]
    [InlineData(1000u, 1 << 20, true)]
    public void Refusal_OwnerAndSize_AreJudgedBeforeReading(uint owner, long bytes, bool good) =>
        (HandoffPolicy.Refusal(new FileFacts(FileKind.Regular, owner, bytes, 1, 1, 1), 1000) is null).ShouldBe(good);

    [Theory]
    [InlineData("any", "http://127.0.0.1:1", null)]
    [InlineData("any", "http://127.9.9.9:1/v1", null)]
    [InlineData("any", "http://[::1]:1", null)]
    [InlineData("chat", "http://localhost:1", null)]
    [InlineData("far", "https://api.example/v1", null)]
    [InlineData("far", "https://other.example/v1", "or one that pool 'far' lists")]
    [InlineData("any", "http://10.0.0.1:1", "expected an address of this machine")]
    [InlineData("chat", "https://api.example/v1", "expected an address of this machine")]
    [InlineData("any", "http://localhost.evil.example:1", "expected an address of this machine")]
    public void Refusal_RunningUrl_LoopbackOrListed(string pool, string url, string? part) => Judge(new HandoffDocument { State = "running", PoolId = pool, ReplicaId = "x0", Url = url }, part);

    [Fact]
    public void Refusal_RunningWithoutUrl_IsRefused() => Judge(new HandoffDocument { State = "running", PoolId = "any", ReplicaId = "x0" }, "url: expected the address");

    [Theory]
    [InlineData("nobody", "r0", null, "there is no pool 'nobody'")]
    [InlineData("chat", "r0", "mock", "engine: expected llama-server")]
    [InlineData("chat", "r1", "llama-server", "has the replicas r0 to r0")]
    [InlineData("far", "r0", null, "nothing is started for it")]
    [InlineData("chat", "r0", "llama-server", null)]
    [InlineData("chat", "r0", null, null)]
    public void Refusal_Prepared_KnownPoolAndKind(string pool, string replica, string? engine, string? part) =>
        Judge(new HandoffDocument { State = "prepared", PoolId = pool, ReplicaId = replica, Engine = engine }, part);

    [Fact]
    public void RunningName_OfOurOwnReplica_StandsBesideIt()
    {
        HandoffPolicy.RunningName(new HandoffDocument { ReplicaId = "r0" }, s_chat).ShouldBe("handoff-r0");
        HandoffPolicy.RunningName(new HandoffDocument { ReplicaId = "r1" }, s_chat).ShouldBe("r1");
        HandoffPolicy.RunningName(new HandoffDocument { ReplicaId = "r0" }, null).ShouldBe("r0");
    }

    private static void Judge(HandoffDocument document, string? part)
    {
        var refusal = HandoffPolicy.Refusal(document, s_around);
        if (part is null)
        {
            refusal.ShouldBeNull();
        }
        else
        {
            refusal.ShouldNotBeNull().ShouldContain(part);
        }
    }
}
