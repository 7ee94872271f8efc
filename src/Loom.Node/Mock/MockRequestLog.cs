using System.Text.Json.Serialization;

namespace Loom.Node.Mock;

/// <summary>What became of a request the mock engine received.</summary>
internal sealed class MockRequest
{
    public required long Number { get; init; }

    public required string Path { get; init; }

    public required string? RequestId { get; init; }

    public required string? Authorization { get; init; }

    /// <summary>The body as received, at most 4096 bytes of it.</summary>
    public required string Body { get; init; }

    /// <summary>waiting, prefill, decode, completed, cancelled or failed.</summary>
    public string State { get; set; } = "waiting";

    /// <summary>Where the request was when its client left; null when it did not.</summary>
    public string? CancelledIn { get; set; }

    public int TokensOut { get; set; }

    /// <summary>When it came, Unix milliseconds.</summary>
    public required long ReceivedMs { get; init; }

    /// <summary>When its client left, Unix milliseconds; null when it did not.</summary>
    public long? CancelledMs { get; set; }
}

/// <summary>The last 10,000 requests, oldest first.</summary>
internal sealed class MockRequestLog(TimeProvider time)
{
    private const int Keep = 10_000;
    private readonly Lock _gate = new();
    private readonly Queue<MockRequest> _requests = new();
    private long _received;
    private long _cancelled;
    private long _tokens;

    public (long Received, long Cancelled, long Tokens) Totals => (Interlocked.Read(ref _received), Interlocked.Read(ref _cancelled), Interlocked.Read(ref _tokens));

    public MockRequest Add(string path, string? requestId, string? authorization, string body)
    {
        var request = new MockRequest
        {
            Number = Interlocked.Increment(ref _received),
            Path = path,
            RequestId = requestId,
            Authorization = authorization,
            Body = body,
            ReceivedMs = time.GetUtcNow().ToUnixTimeMilliseconds(),
        };
        lock (_gate)
        {
            _requests.Enqueue(request);
            if (_requests.Count > Keep)
            {
                _requests.Dequeue();
            }
        }

        return request;
    }

    public void Cancelled(MockRequest request)
    {
        request.CancelledIn = request.State;
        request.CancelledMs = time.GetUtcNow().ToUnixTimeMilliseconds();
        request.State = "cancelled";
        Interlocked.Increment(ref _cancelled);
    }

    public void CountTokens(int tokens) => Interlocked.Add(ref _tokens, tokens);

    public MockRequest[] View()
    {
        lock (_gate)
        {
            return [.. _requests];
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(MockRequest[]))]
internal sealed partial class MockJson : JsonSerializerContext;
