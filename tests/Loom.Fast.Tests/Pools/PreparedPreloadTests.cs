using System.Collections.Immutable;
using System.Text;
using Loom.Core.Web;
using Loom.Fast.Tests.Node;
using Loom.Node.Link;
using Loom.Node.Pools;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Pools;

public sealed class PreparedPreloadTests
{
    [Theory]
    [InlineData("LD_PRELOAD", "x.so")]
    [InlineData("CUDA_INJECTION64_PATH", "x.so")]
    [InlineData("GCONV_PATH", "x")]
    [InlineData("OMP_TOOL_LIBRARIES", "x.so")]
    [InlineData("VLLM_PLUGINS", "x")]
    [InlineData("PERL5OPT", "-Mx")]
    [InlineData("RUBYOPT", "-rx")]
    [InlineData("JAVA_TOOL_OPTIONS", "-agentlib:x")]
    [InlineData("NODE_OPTIONS", "--import x")]
    [InlineData("GGML_BACKEND_PATH", "x.so")]
    [InlineData("omp_num_threads", "2")]
    [InlineData("LLAMA_ARG_MODEL", "/etc/passwd")]
    [InlineData("LLAMA_ARG_NUMA", "/tmp/x")]
    public void Refusal_VariableThatIsNoTuning_NamesIt(string name, string value) =>
        PreparedPreload.Refusal(Fixtures.Pool(), Document(name, value), Fixtures.Prepared).ShouldNotBeNull().ShouldContain($"'{name}'");

    [Theory]
    [InlineData("OMP_NUM_THREADS", "2")]
    [InlineData("LLAMA_ARG_FLASH_ATTN", "on")]
    [InlineData("GGML_CUDA_ENABLE_UNIFIED_MEMORY", "1")]
    public void Refusal_Tuning_IsTaken(string name, string value) =>
        PreparedPreload.Refusal(Fixtures.Pool(), Document(name, value), Fixtures.Prepared).ShouldBeNull();

    [Theory]
    [InlineData("""{"prepared":{"slots":-1}}""", "prepared.slots")]
    [InlineData("""{"prepared":{"slots":100000}}""", "prepared.slots")]
    [InlineData("""{"prepared":{"schema":2}}""", "prepared.schema")]
    [InlineData("""{"prepared":{"replica_id":"../r0"}}""", "prepared.replica_id")]
    [InlineData("""{"prepared":{"binary_path":"engine"}}""", "prepared.binary_path")]
    [InlineData("""{"prepared":{"env":{"A":null}}}""", "prepared.env")]
    [InlineData("""{"prepared":{"flags":[null]}}""", "prepared.flags")]
    [InlineData("""{"prepared":{"model":{"id":"","path":"/m"}}}""", "prepared.model.id")]
    public void Body_FieldOutOfItsRange_IsRefusedWithItsPath(string body, string path) =>
        Should.Throw<ProblemException>(() => Read(body)).Problem.Param.ShouldBe(path);

    [Fact]
    public void Body_WhatIsNull_IsNotThere()
    {
        var prepared = Read("""{"prepared":{"env":null,"slots":2}}""").Prepared.ShouldNotBeNull();
        prepared.Env.ShouldBeEmpty();
        prepared.Flags.ShouldBeEmpty();
        prepared.Slots.ShouldBe(2);
        (prepared.PoolId, prepared.ReplicaId).ShouldBe(("chat", "r0"));
    }

    [Fact]
    public void Body_PurgeWithoutDrainFirst_DrainsFirst() =>
        ((PoolCommand.Purge)PoolCommandBody.Read("purge", "chat", "{}"u8.ToArray())).DrainFirst.ShouldNotBe(false);

    private static PoolCommand.Preload Read(string body) => (PoolCommand.Preload)PoolCommandBody.Read("preload", "chat", Encoding.UTF8.GetBytes(body));

    private static HandoffDocument Document(string name, string value) =>
        new() { PoolId = "chat", ReplicaId = "r0", Env = ImmutableDictionary<string, string>.Empty.Add(name, value) };
}
