using System.Text;
using System.Text.Json;
using Loom.Control;
using Loom.SystemTests.Gateway;
using Loom.Wire;
using Shouldly;

namespace Loom.SystemTests.Tasks;

/// <summary>A control plane with a fake engine, and a client that speaks <c>/v2</c>.</summary>
internal sealed class TaskHarness(GatewayHarness gateway) : IAsyncDisposable
{
    public static TimeSpan Deadline { get; } = TimeSpan.FromSeconds(90);

    public GatewayHarness Gateway => gateway;

    public FakeEngine Engine => gateway.Engine;

    public static async Task<TaskHarness> StartAsync(
        int engines = 1, int slots = 4, Func<ControlOptions, ControlOptions>? options = null, Func<ReplicaStatus, ReplicaStatus>? status = null) =>
        new(await GatewayHarness.StartAsync(engines, slots, options, status));

    /// <summary>Has every engine stream these pieces of text.</summary>
    public void Say(params string[] pieces)
    {
        foreach (var engine in gateway.Engines)
        {
            engine.Answer = e => SayAsync(e, pieces);
        }
    }

    public static async Task SayAsync(Exchange exchange, IEnumerable<string> pieces, bool end = true)
    {
        var count = 0;
        foreach (var piece in pieces)
        {
            count++;
            await exchange.EventAsync($$"""{"choices":[{"index":0,"text":{{JsonSerializer.Serialize(piece)}},"finish_reason":null}]}""");
        }

        if (end)
        {
            await exchange.EventAsync("""{"choices":[{"index":0,"text":"","finish_reason":"length"}]}""");
            await exchange.EventAsync($$$"""{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":{{{count}}} ,"prompt_tokens_details":{"cached_tokens":2} } }""");
            await exchange.EventAsync("[DONE]");
        }
    }

    public async Task<(int Status, JsonElement Body)> SendAsync(HttpMethod method, string path, string? body = null, string? token = null)
    {
        using var response = await RawAsync(method, path, body, token);
        var text = await response.Content.ReadAsStringAsync();
        return ((int)response.StatusCode, text.Length == 0 ? default : JsonDocument.Parse(text).RootElement);
    }

    public Task<HttpResponseMessage> RawAsync(HttpMethod method, string path, string? body = null, string? token = null, string? lastEventId = null)
    {
        var request = new HttpRequestMessage(method, path);
        if (body is not null)
        {
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        }

        if (token is not null)
        {
            request.Headers.Authorization = new("Bearer", token);
        }

        if (lastEventId is not null)
        {
            request.Headers.TryAddWithoutValidation("Last-Event-ID", lastEventId);
        }

        return gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    public async Task<JsonElement> PostTaskAsync(string body)
    {
        var (status, answer) = await SendAsync(HttpMethod.Post, "/v2/tasks", body);
        status.ShouldBe(202, answer.ToString());
        return answer;
    }

    public async Task<string> PostTaskIdAsync(string body) => (await PostTaskAsync(body)).GetProperty("task_id").GetString()!;

    /// <summary>Follows a task to the end of its stream.</summary>
    public async Task<List<TaskSse>> EventsAsync(string id, bool verbose = false, string? lastEventId = null)
    {
        await using var reader = await FollowAsync(id, verbose, lastEventId);
        return await reader.ToEndAsync();
    }

    public async Task<TaskReader> FollowAsync(string id, bool verbose = false, string? lastEventId = null)
    {
        var response = await RawAsync(HttpMethod.Get, $"/v2/tasks/{id}/events{(verbose ? "?verbose=true" : "")}", lastEventId: lastEventId);
        response.StatusCode.ShouldBe(System.Net.HttpStatusCode.OK);
        response.Content.Headers.ContentType!.MediaType.ShouldBe("text/event-stream");
        return new TaskReader(response, await response.Content.ReadAsStreamAsync());
    }

    public async Task<JsonElement> UntilAsync(string id, string state)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        while (true)
        {
            var (_, task) = await SendAsync(HttpMethod.Get, $"/v2/tasks/{id}");
            if (task.GetProperty("state").GetString() == state)
            {
                return task;
            }

            deadline.IsCancellationRequested.ShouldBeFalse($"not {state}: {task}");
            await Task.Yield();
        }
    }

    public ValueTask DisposeAsync() => gateway.DisposeAsync();
}

/// <summary>One event of a task's stream.</summary>
internal sealed record TaskSse(long Id, string Event, JsonElement Data);

/// <summary>Reads a stream of events one by one.</summary>
internal sealed class TaskReader(HttpResponseMessage response, Stream stream) : IAsyncDisposable
{
    private readonly StreamReader _lines = new(stream, Encoding.UTF8);

    /// <summary>The next event, or null at the proper end of the stream.</summary>
    public async Task<TaskSse?> NextAsync()
    {
        using var deadline = new CancellationTokenSource(TaskHarness.Deadline);
        long id = 0;
        var name = "";
        while (await _lines.ReadLineAsync(deadline.Token) is { } line)
        {
            if (line.StartsWith("id: ", StringComparison.Ordinal))
            {
                id = long.Parse(line[4..], System.Globalization.CultureInfo.InvariantCulture);
            }
            else if (line.StartsWith("event: ", StringComparison.Ordinal))
            {
                name = line[7..];
            }
            else if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                return new TaskSse(id, name, JsonDocument.Parse(line[6..]).RootElement);
            }
        }

        return null;
    }

    /// <summary>Reads on until an event of this name.</summary>
    public async Task<TaskSse> UntilAsync(string name)
    {
        while (await NextAsync() is { } one)
        {
            if (one.Event == name)
            {
                return one;
            }
        }

        throw new InvalidOperationException($"the stream ended before '{name}'");
    }

    public async Task<List<TaskSse>> ToEndAsync()
    {
        var all = new List<TaskSse>();
        while (await NextAsync() is { } one)
        {
            all.Add(one);
        }

        return all;
    }

    public ValueTask DisposeAsync()
    {
        _lines.Dispose();
        response.Dispose();
        return ValueTask.CompletedTask;
    }
}
