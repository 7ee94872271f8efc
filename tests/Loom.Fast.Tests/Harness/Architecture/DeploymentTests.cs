using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Architecture.Locking;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Architecture;

public sealed class DeploymentTests
{
    [Fact]
    public void Load_Overrides_ReachThePlanAndNotTheLock()
    {
        var plain = new MemorySystem(LoaderTests.Small);
        var before = Lock(plain);
        plain.With("deployment.yaml", """
            schema_version: "1.0.0"
            environment: production
            component_overrides:
              work: { config: { copies: 9 }, capabilities: { Retry: { max_attempts: 9 }, Timeout: { enabled: false } }, batching: { max_ms: 50 }, concurrency: 8 }
            binding_overrides: { read.out->work.in: { buffer: 7 } }
            """);
        var result = plain.Load();
        result.Findings.ShouldBeEmpty();
        var work = result.Plan!.Components[1];
        ((Parts.EachOptions)work.Options!).Copies.ShouldBe(9);
        work.Concurrency.ShouldBe(8);
        (work.Batching!.MaxItems, work.Batching.MaxWait).ShouldBe((8, TimeSpan.FromMilliseconds(50)));
        work.Capabilities.Where(c => c.Declared).Select(c => c.Name).ShouldBe(["Retry"]);
        work.Capabilities.Single(c => c.Name == "Retry").Options.ShouldBe(new RetrySettings { MaxAttempts = 9 });
        result.Plan.Bindings[0].Buffer.ShouldBe(7);
        Lock(plain).ShouldBe(before);
    }

    [Fact]
    public void Load_ASecret_IsUsedAndNeverShown()
    {
        var system = new MemorySystem(LoaderTests.Small.Replace("path: in.txt", "path: \"${FILE}\""))
            .With("deployment.yaml", "schema_version: \"1.0.0\"\nenv_vars: [ { name: FILE, valueFrom: { secretKeyRef: { name: a, key: b } } } ]\n")
            .With(".loom/secrets/a/b", "hush-hush\n");
        var plan = system.Load().Plan!;
        ((Parts.LinesOptions)plan.Components[0].Options!).Path.ShouldBe("hush-hush");
        plan.Components[0].Config.GetRawText().ShouldNotContain("hush");
        plan.Environment["FILE"].ShouldBe("hush-hush");
        System.Text.Encoding.UTF8.GetString(Lock(system)).ShouldNotContain("hush");
        var wrong = new MemorySystem(LoaderTests.Small.Replace("settle_ms: 20", "settle_ms: \"${FILE}\""))
            .With("deployment.yaml", "schema_version: \"1.0.0\"\nenv_vars: [ { name: FILE, valueFrom: { secretKeyRef: { name: a, key: b } } } ]\n")
            .With(".loom/secrets/a/b", "hush-hush\n").Lines();
        wrong.ShouldHaveSingleItem().ShouldBe("architecture.yaml:4:81: error LH403: component \"read\": settle_ms is a secret; a number of milliseconds is wanted");
    }

    [Fact]
    public void Load_ASecretNameThatLeadsElsewhere_IsRefused() =>
        new MemorySystem(LoaderTests.Small).With("deployment.yaml", "schema_version: \"1.0.0\"\nenv_vars: [ { name: A, valueFrom: { secretKeyRef: { name: .., key: passwd } } } ]\n")
            .Lines().ShouldHaveSingleItem().ShouldContain("error LH504: secret ../passwd");

    [Theory]
    [InlineData("delivery: at_most_once", "delivery", 13)]
    [InlineData("resource_limits: { max_item_bytes: 8MiB }", "resource_limits.max_item_bytes", 38)]
    [InlineData("security: { allow_exec: true }", "security.allow_exec", 27)]
    [InlineData("security: { allow_hosts: [a.example, evil.example] }", "security.allow_hosts", 28)]
    [InlineData("security: { write_paths: [/tmp] }", "security.write_paths", 28)]
    public void Load_APolicyThatLoosens_IsRefusedAtItsKey(string policy, string key, int column)
    {
        var lines = new MemorySystem(LoaderTests.Small.Replace("policy: { delivery: at_least_once }",
            "policy: { delivery: at_least_once, security: { allow_exec: false, allow_hosts: [a.example] }, resource_limits: { max_item_bytes: 1MiB } }"))
            .With("deployment.yaml", $"schema_version: \"1.0.0\"\npolicy:\n  {policy}\n").Lines();
        lines.ShouldHaveSingleItem().ShouldStartWith($"deployment.yaml:3:{column}: error LH505: policy.{key} is looser");
    }

    private static byte[] Lock(MemorySystem system) => SystemLock.Compute(system.Load(), system, new FindingList())!.ToBytes();
}
