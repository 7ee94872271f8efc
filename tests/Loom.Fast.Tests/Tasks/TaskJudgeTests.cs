using System.Text;
using Loom.Control.Artifacts;
using Loom.Control.Tasks;
using Loom.Core.Queues;
using Loom.Core.Web;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Tasks;

public sealed class TaskJudgeTests
{
    [Fact]
    public void Judge_Least_FillsInTheDefaults()
    {
        var plan = Judge("""{"model_ref":"demo","prompt":"x"}""");

        plan.Workload.ShouldBe(Workload.Completion);
        plan.MaxTokens.ShouldBe(512);
        plan.Class.ShouldBe(QueueClass.Interactive);
        plan.SessionId.ShouldBe("made");
        plan.DeadlineMs.ShouldBeNull();
        plan.Seed.ShouldBeNull();
        plan.Placement.ShouldBeNull();
        plan.ReuseKv.ShouldBeFalse();
    }

    [Fact]
    public void Judge_Everything_IsTaken()
    {
        var plan = Judge("""
            {"task_id":"t-1","model_ref":"demo","messages":[{"role":"user","content":"x"}],"session_id":"7b0b7a3e-3f4f-4a0e-9d6c-2f6f3f1c0001","workload":"completion",
             "engine":"llama-server","ctx":4096,"priority":"batch","max_tokens":9,"deadline_ms":1000,"determinism":"strict","sampler_profile_version":"v1",
             "expected_tokens":5,"kv_hint":"reuse","placement":{"mode":"prefer","prefer_pools":["a","b"],"avoid_pools":["c"],"require_device_mask":"0,1","allow_fallback":false}}
            """);

        plan.Class.ShouldBe(QueueClass.Batch);
        plan.Seed.ShouldBe(0, "strict needs one");
        plan.ReuseKv.ShouldBeTrue();
        plan.Placement!.EngineKind.ShouldBe("llama-server");
        plan.Placement.Ctx.ShouldBe(4096);
        plan.Placement.PreferPools.ShouldBe(["a", "b"]);
        plan.Placement.AvoidPools.ShouldBe(["c"]);
        plan.Placement.Devices.ShouldBe(["0", "1"]);
        plan.Placement.AllowFallback.ShouldBeFalse();
        plan.Placement.PinPool.ShouldBeNull();
    }

    public static TheoryData<string, string, string> Wrong() => new()
    {
        { """{"prompt":"x"}""", "model_ref", "missing" },
        { """{"model_ref":"m"}""", "prompt", "none of them" },
        { """{"model_ref":"m","prompt":"x","messages":[{"role":"user"}]}""", "prompt", "'prompt' and 'messages'" },
        { """{"model_ref":"m","prompt":"x","inputs":["a"]}""", "prompt", "either 'prompt' or 'messages'" },
        { """{"model_ref":"m","workload":"rerank","inputs":["a"]}""", "prompt", "'prompt' (the query) and 'inputs' (the texts)" },
        { """{"model_ref":"m","workload":"embedding","messages":[{"role":"user"}]}""", "prompt", "'inputs', or one 'prompt'" },
        { """{"model_ref":"m","prompt":"x","priority":"high"}""", "priority", "one of interactive, batch" },
        { """{"model_ref":"m","prompt":"x","ctx":-1}""", "ctx", "from 1 to" },
        { """{"model_ref":"m","prompt":"x","max_tokens":0}""", "max_tokens", "from 1 to" },
        { """{"model_ref":"m","prompt":"x","deadline_ms":0}""", "deadline_ms", "from 1 to" },
        { """{"model_ref":"m","prompt":"x","workload":"chat"}""", "workload", "one of completion, embedding, rerank" },
        { """{"model_ref":"m","prompt":"x","engine":"vllm"}""", "engine", "one of any, embedded, llama-server" },
        { """{"model_ref":"m","prompt":"x","determinism":"yes"}""", "determinism", "one of best_effort, strict" },
        { """{"model_ref":"m","prompt":"x","kv_hint":"warm"}""", "kv_hint", "one of reuse, cold" },
        { """{"model_ref":"m","prompt":"x","session_id":"s1"}""", "session_id", "a UUID" },
        { """{"model_ref":"m","prompt":"x","task_id":"a/b"}""", "task_id", "letters, digits" },
        { """{"model_ref":"m","prompt":"x","task_id":".."}""", "task_id", "letters, digits" },
        { """{"model_ref":"m","messages":[]}""", "messages", "at least one" },
        { """{"model_ref":"m","messages":[{"role":"user","content":"x"},{"content":"y"}]}""", "messages[1].role", "text 'role'" },
        { """{"model_ref":"m","messages":[{"role":"user","content":5}]}""", "messages[0].content", "a text or a list" },
        { """{"model_ref":"m","workload":"embedding","inputs":["a",5]}""", "inputs[1]", "must be a text" },
        { """{"model_ref":"m","prompt":"x","placement":{"mode":"pin"}}""", "placement.pin_pool_id", "needs" },
        { """{"model_ref":"m","prompt":"x","placement":{"mode":"prefer"}}""", "placement.prefer_pools", "needs" },
        { """{"model_ref":"m","prompt":"x","placement":{"mode":"here"}}""", "placement.mode", "one of auto, prefer, pin" },
        { """{"model_ref":"m","prompt":"x","placement":{"pin_pool":"a"}}""", "placement.pin_pool", "did you mean 'pin_pool_id'?" },
        { """{"model_ref":"m","prompt":"x","max_token":1}""", "max_token", "did you mean 'max_tokens'?" },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void Judge_Wrong_NamesTheFieldAndWhatIsAllowed(string body, string param, string told)
    {
        var problem = Should.Throw<ProblemException>(() => Judge(body)).Problem;

        problem.Param.ShouldBe(param);
        problem.Message.ShouldContain(told);
        problem.HttpStatus.ShouldBe(400);
    }

    [Theory]
    [InlineData("""{"b":1,"a":[1.0,2e1,"\u00e4"]}""", """{"a":[1,20,"ä"],"b":1}""")]
    [InlineData("""{"n":12345678901234567890123,"z":-0}""", """{"n":12345678901234567890123,"z":0}""")]
    [InlineData("""[ true , null, {"y":{},"x":""} ]""", """[true,null,{"x":"","y":{}}]""")]
    public void Canonical_SameMeaning_HasOneSpelling(string json, string canonical)
    {
        using var document = System.Text.Json.JsonDocument.Parse(json);

        Encoding.UTF8.GetString(CanonicalJson.Write(document.RootElement).WrittenSpan).ShouldBe(canonical);
    }

    [Theory]
    [InlineData("""{"model_ref":"demo","prompt":"\ud83d"}""", "prompt")]
    [InlineData("""{"a":1,"messages":[{"content":"x \udc00"}]}""", "messages")]
    [InlineData("""{"\ud83d":1}""", "")]
    public void Canonical_HalfASurrogatePair_IsRefusedWithItsField(string json, string param)
    {
        using var document = System.Text.Json.JsonDocument.Parse(json);

        var problem = Should.Throw<ProblemException>(() => CanonicalJson.DigestOf(document.RootElement)).Problem;

        problem.HttpStatus.ShouldBe(400);
        problem.Param.ShouldBe(param);
        Should.Throw<ProblemException>(() => ArtifactStore.IdOf("plan", document.RootElement)).Problem.Param.ShouldBe("content");
    }

    [Fact]
    public void RecordsOf_WhileTheJournalIsBeingTold_HoldWhatReadersDoNotSeeYet()
    {
        var request = new TaskRequest { ModelRef = "m", Prompt = "x" };
        var task = new TaskEntry("o", "t", 1, "digest", request, null, Ended("t") with { State = TaskState.Queued, EndedMs = null });

        TaskJournal.RecordsOf(task).ShouldBeEmpty();
        task.NoteAcceptance();
        TaskJournal.RecordsOf(task).Single().Started.ShouldBeNull();
        task.NoteStart();
        TaskJournal.RecordsOf(task).Single().ShouldSatisfyAllConditions(r => r.Kind.ShouldBe("accepted"), r => r.Request.ShouldBe(request), r => r.Started.ShouldBe(true));
        task.NoteEnd(Ended("t"));
        TaskJournal.RecordsOf(task).Single().End.ShouldBe(Ended("t"));
        task.Ended.ShouldBeFalse();
    }

    [Fact]
    public void Replay_RecordsInOrder_TellsWhatWaitedWhatRanAndWhatEnded()
    {
        var replay = new TaskReplay();
        var request = new TaskRequest { ModelRef = "m", Prompt = "x" };
        foreach (var id in new[] { "a", "b", "c", "d" })
        {
            replay.Take(new TaskRecord { Kind = "accepted", Owner = "o", TaskId = id, Request = request, Digest = id });
        }

        replay.Take(new TaskRecord { Kind = "started", Owner = "o", TaskId = "b" });
        replay.Take(new TaskRecord { Kind = "ended", Owner = "o", TaskId = "a", End = Ended("a") });
        // A snapshot may hold what was appended before and after it.
        replay.Take(new TaskRecord { Kind = "accepted", Owner = "o", TaskId = "c", Request = request, Digest = "c" });
        replay.Take(new TaskRecord { Kind = "accepted", Owner = "o", TaskId = "d", Request = request, Digest = "d", Started = true });
        replay.Take(new TaskRecord { Kind = "started", Owner = "p", TaskId = "c" });
        replay.Take(new TaskRecord { Kind = "probe", TaskId = "e" });

        replay.Lives.Select(l => (l.Id, l.Started, l.End is not null)).ShouldBe([("a", false, true), ("b", true, false), ("c", false, false), ("d", true, false)]);
    }

    [Theory]
    [InlineData("""{"choices":[{"text":"a","finish_reason":null}]}""", "a", null)]
    [InlineData("""{"choices":[{"delta":{"content":"b"},"finish_reason":""}]}""", "b", null)]
    [InlineData("""{"choices":[{"delta":{"role":"assistant"}}]}""", null, null)]
    [InlineData("""{"choices":[{"delta":{},"finish_reason":"stop"}]}""", null, "stop")]
    [InlineData("""{"choices":[],"usage":{}}""", null, null)]
    [InlineData("""not json""", null, null)]
    public void Chunk_OfEitherForm_GivesTextAndReason(string json, string? text, string? finish)
    {
        var chunk = TaskChunk.Read(Encoding.UTF8.GetBytes(json));

        chunk.Text.ShouldBe(text);
        chunk.FinishReason.ShouldBe(finish);
    }

    private static TaskView Ended(string id) => new()
    {
        TaskId = id, State = TaskState.Completed, SessionId = "s", ModelRef = "m", Workload = Workload.Completion, Priority = "batch", CreatedMs = 1, EndedMs = 2,
    };

    private static TaskPlan Judge(string body) => TaskJudge.Judge(JsonBody.Read(Encoding.UTF8.GetBytes(body), TaskJson.Default.TaskRequest, strict: true), () => "made");
}
