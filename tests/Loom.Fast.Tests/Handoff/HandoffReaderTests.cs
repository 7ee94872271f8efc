using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Loom.Core.Handoff;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Handoff;

public sealed class HandoffReaderTests
{
    private const string Whole = """
        {"schema":1,"state":"prepared","engine":"llama-server","engine_version":"v0.5.0","provisioning_mode":"binary","pool_id":"chat","replica_id":"r0",
         "model":{"id":"demo","path":"/m/demo.gguf","sha256":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},"binary_path":"/b/llama-server",
         "flags":["--ctx-size","8192"],"env":{"A":"b"},"device_mask":"0","slots":4,"url":null,"pid":null,"mock":false,"later":{"x":1}}
        """;

    [Fact]
    public void Read_ExampleOfTheSpecification_HasEveryField()
    {
        var document = Read(Whole).Document.ShouldNotBeNull();

        document.State.ShouldBe("prepared");
        document.Engine.ShouldBe("llama-server");
        document.EngineVersion.ShouldBe("v0.5.0");
        document.ProvisioningMode.ShouldBe("binary");
        (document.PoolId, document.ReplicaId).ShouldBe(("chat", "r0"));
        document.Model.ShouldBe(new HandoffModel("demo", "/m/demo.gguf", new string('a', 64)));
        document.BinaryPath.ShouldBe("/b/llama-server");
        document.Flags.ShouldBe(["--ctx-size", "8192"]);
        document.Env["A"].ShouldBe("b");
        document.DeviceMask.ShouldBe("0");
        document.Slots.ShouldBe(4);
        document.Url.ShouldBeNull();
    }

    [Fact]
    public void Read_WhatTheWriterWrites_IsTheSame()
    {
        var document = Read(Whole).Document!;
        var again = HandoffReader.Read(JsonSerializer.SerializeToUtf8Bytes(document, NodeJson.Default.HandoffDocument)).Document!;

        JsonSerializer.Serialize(again, NodeJson.Default.HandoffDocument).ShouldBe(JsonSerializer.Serialize(document, NodeJson.Default.HandoffDocument));
    }

    [Theory]
    [InlineData("""{"pool_id":"p","replica_id":"r0","url":"http://127.0.0.1:1"}""", "running")]
    [InlineData("""{"pool_id":"p","replica_id":"r0"}""", "prepared")]
    [InlineData("""{"pool_id":"p","replica_id":"r0","state":"prepared","url":"http://127.0.0.1:1"}""", "prepared")]
    public void Read_NoState_FollowsFromTheUrl(string json, string state) => Read(json).Document.ShouldNotBeNull().State.ShouldBe(state);

    [Theory]
    [InlineData("", "line 1, column 1: expected JSON, found an empty file")]
    [InlineData("[]", "line 1, column 1: expected an object {...}, found a list")]
    [InlineData("{\n  \"pool_id\": \"p\",\n  oops\n}", "line 3, column 3: expected JSON, found oops")]
    [InlineData("{\"pool_id\":\"p\"", "line 1, column 15: expected JSON, found the end of the line or file")]
    [InlineData("{\"replica_id\":\"r0\"}", "line 1, column 1: pool_id: expected 1 to 128 of A-Z a-z 0-9 . _ -, found nothing")]
    [InlineData("{\"pool_id\":\"../x\",\"replica_id\":\"r0\"}", "line 1, column 12: pool_id: expected 1 to 128 of A-Z a-z 0-9 . _ -, found \"../x\"")]
    [InlineData("{\"pool_id\":\"p\",\n \"replica_id\":\"r0\",\n \"slots\":\"four\"}", "line 3, column 10: slots: expected a whole number from 1 to 256, found \"four\"")]
    [InlineData("{\"pool_id\":\"p\",\"replica_id\":\"r0\",\"slots\":0}", "line 1, column 42: slots: expected a whole number from 1 to 256, found 0")]
    [InlineData("{\"pool_id\":\"p\",\"replica_id\":\"r0\",\"schema\":2}", "schema: expected 1, the version this Loom reads, found 2")]
    [InlineData("{\"pool_id\":\"p\",\"replica_id\":\"r0\",\"model\":{\"path\":\"/m\"}}", "line 1, column 42: model.id: expected the id of a model, found nothing")]
    [InlineData("{\"pool_id\":\"p\",\"replica_id\":\"r0\",\"model\":{\"id\":\"m\",\"path\":\"m.gguf\"}}", "column 59: model.path: expected an absolute path, found \"m.gguf\"")]
    [InlineData("{\"pool_id\":\"p\",\"replica_id\":\"r0\",\"url\":\"ftp://x\"}", "url: expected an address http://HOST:PORT or https://HOST:PORT, found \"ftp://x\"")]
    [InlineData("{\"pool_id\":\"p\",\"replica_id\":\"r0\",\"flags\":[1]}", "flags: expected a list of texts, found a list")]
    [InlineData("{\"pool_id\":\"p\",\"replica_id\":\"r0\",\"env\":{\"A=B\":\"c\"}}", "env: expected a table of texts, found an object")]
    [InlineData("{\"pool_id\":\"p\",\"replica_id\":\"r0\",\"pid\":-1}", "pid: expected a process id, found -1")]
    [InlineData("{\"pool_id\":\"p\",\"replica_id\":\"r0\",\"mock\":\"yes\"}", "mock: expected true or false, found \"yes\"")]
    [InlineData("{\"pool_id\":\"p\",\"replica_id\":\"r0\",\"state\":\"ready\"}", "state: expected \"prepared\" or \"running\", found \"ready\"")]
    public void Read_Wrong_SaysWhereAndWhatWasExpected(string json, string trouble)
    {
        var reading = Read(json);

        reading.Document.ShouldBeNull();
        reading.Trouble.ShouldNotBeNull().ShouldEndWith(trouble);
    }

    [Fact]
    public void Read_EveryBeginningOfAFile_IsUnreadableAndNeverThrows()
    {
        var bytes = Encoding.UTF8.GetBytes(Whole);
        for (var length = 0; length < bytes.Length; length++)
        {
            var reading = HandoffReader.Read(bytes.AsSpan(0, length));
            reading.Document.ShouldBeNull();
            reading.Trouble.ShouldNotBeNullOrEmpty();
        }
    }

    [Fact]
    public void Read_AnyBytes_NeverThrows() =>
        Prop.ForAll<byte[]>(bytes => (HandoffReader.Read(bytes).Document is null) == (HandoffReader.Read(bytes).Trouble is not null)).QuickCheckThrowOnFailure();

    [Fact]
    public void Read_AnyOneByteChanged_NeverThrows() => Prop.ForAll<byte, int>((value, at) =>
    {
        var bytes = Encoding.UTF8.GetBytes(Whole);
        bytes[(at & int.MaxValue) % bytes.Length] = value;
        var reading = HandoffReader.Read(bytes);
        return (reading.Document is null) == (reading.Trouble is not null);
    }).QuickCheckThrowOnFailure();

    private static HandoffReading Read(string json) => HandoffReader.Read(Encoding.UTF8.GetBytes(json));
}
