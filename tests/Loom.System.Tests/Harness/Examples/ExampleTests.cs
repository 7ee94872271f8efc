using System.Net;
using System.Text.Json;
using Loom.Harness.Components.Reference;
using Loom.SystemTests.Harness.Samples;
using Loom.SystemTests.Harness.Signals;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Examples;

/// <summary>The examples of the reference page do what they say: each is made into a system and run, by <c>loom harness test</c> where a test can show it and by <c>loom harness run</c> where not.</summary>
public sealed class ExampleTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public static TheoryData<string> Runs => [.. ComponentExample.Names.Where(n => new ExampleSystem(n).IsRun)];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Examples_AsTests_Pass()
    {
        var examples = ComponentExample.Names.Select(n => new ExampleSystem(n)).Where(e => !e.IsRun).ToList();
        await using var server = await ExampleServer.StartAsync([.. examples.SelectMany(e => e.Items("server"))]);
        foreach (var example in examples)
        {
            example.Write(_folder[example.Name]);
        }

        var (exit, output, error) = await RunningLoom.RunAsync(_folder.Path, ["harness", "test", "."], [("SERVER", server.Address)]);
        exit.ShouldBe(0, output + error);
        output.Split('\n').Count(l => l.StartsWith("  ok ", StringComparison.Ordinal)).ShouldBe(examples.Count, output);
        server.Check();
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public async Task Example_Run_LeavesWhatItSays(string name)
    {
        var example = new ExampleSystem(name);
        example.Write(_folder.Path);
        if (example.Value("requests") is not null)
        {
            await AskAsync(example);
            return;
        }

        var (exit, output, error) = await RunningLoom.RunAsync(_folder.Path, ["harness", "run", ".", "--unlocked", "--port", "0"], [], example.Value("stdin")?.GetString() ?? "");
        exit.ShouldBe(0, output + error);
        if (example.Value("stdout") is { } stdout)
        {
            output.ShouldBe(stdout.GetString());
        }

        foreach (var port in example.Members("expect"))
        {
            var taken = (await File.ReadAllLinesAsync(_folder[ExampleSystem.Taken(port.Name)])).Select(l => Plain(JsonElement.Parse(l)));
            taken.ShouldBe(port.Value.EnumerateArray().Select(Plain), port.Name);
        }

        foreach (var file in example.Members("then"))
        {
            (await File.ReadAllTextAsync(_folder[file.Name])).ShouldBe(file.Value.GetString(), file.Name);
        }

        foreach (var database in example.Members("then_sql"))
        {
            SampleSystem.RowsOf(_folder[database.Name], database.Value.GetProperty("query").GetString()!)
                .ShouldBe(database.Value.GetProperty("rows").EnumerateArray().Select(r => r.GetString()!));
        }
    }

    // Without the blanks it was written with.
    private static string Plain(JsonElement payload) => JsonSerializer.Serialize(payload);

    private static async Task AskAsync(ExampleSystem example)
    {
        await using var running = await RunningSystem.StartAsync(example.Architecture(), f => example.Write(f.Path));
        await RunningSystem.UntilAsync(async () => (await running.SendAsync(HttpMethod.Get, "/health/ready")).Status == HttpStatusCode.OK, "its routes are served");
        foreach (var request in example.Items("requests"))
        {
            var ask = request.GetProperty("ask").GetString()!.Split(' ');
            var body = request.TryGetProperty("body", out var given) ? given.GetRawText() : null;
            var (status, answer) = (HttpStatusCode.OK, "");
            // A route is served a moment before the component behind it takes requests.
            await RunningSystem.UntilAsync(
                async () =>
                {
                    (status, answer) = await running.SendAsync(new HttpMethod(ask[0]), ask[1], body);
                    return status != HttpStatusCode.ServiceUnavailable || request.GetProperty("status").GetInt32() == 503;
                },
                $"{ask[1]} takes requests");
            ((int)status).ShouldBe(request.GetProperty("status").GetInt32(), answer);
            if (request.TryGetProperty("answer", out var expected))
            {
                JsonElement.DeepEquals(JsonElement.Parse(answer), expected).ShouldBeTrue(answer);
            }
        }

        (await running.DrainAsync()).ShouldBe(0, running.Err);
    }
}
