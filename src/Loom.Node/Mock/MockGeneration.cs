using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Loom.Node.Mock;

/// <summary>Answers one inference request: slot, prefill, tokens, with the faults asked for.</summary>
internal sealed class MockGeneration(MockEngineOptions options, TimeProvider time, MockSlots slots, MockGates gates, MockRequestLog log, Action crash)
{
    private static readonly byte[] s_done = "data: [DONE]\n\n"u8.ToArray();
    private readonly Random? _jitter = options.JitterSeed is { } seed ? new Random(seed) : null;

    public async Task RunAsync(HttpContext context, MockRequest request, MockPrompt prompt, MockFault fault, string? gate)
    {
        if (fault.Kind == MockFaultKind.Status)
        {
            request.State = "failed";
            await MockWire.ErrorAsync(context, fault.Number, "mock_fault", $"mock fault: status {fault.Number}").ConfigureAwait(false);
            return;
        }

        var gone = fault.Kind == MockFaultKind.RefuseCancel ? CancellationToken.None : context.RequestAborted;
        MockSlots.Slot? slot = null;
        try
        {
            (slot, var cached) = await slots.TakeAsync(prompt.Words, gone).ConfigureAwait(false);
            request.State = "prefill";
            await PrefillAsync(prompt, cached, fault, gate, gone).ConfigureAwait(false);
            request.State = "decode";
            var path = context.Request.Path.Value!;
            await (MockDialect.IsInstant(path) ? MockWire.JsonAsync(context, 200, DialectOf(context, request).Instant(prompt))
                : prompt.Inputs.Length > 0 ? EmbedAsync(context, prompt)
                : prompt.Stream ? StreamAsync(context, request, prompt, cached, fault, gone)
                : CompleteAsync(context, request, prompt, cached, fault, gone)).ConfigureAwait(false);
            request.State = "completed";
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            log.Cancelled(request);
        }
        finally
        {
            log.CountTokens(request.TokensOut);
            if (slot is not null)
            {
                slots.Release(slot);
            }
        }
    }

    private async Task PrefillAsync(MockPrompt prompt, int cached, MockFault fault, string? gate, CancellationToken gone)
    {
        if (fault.Kind == MockFaultKind.HangInPrefill)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, time, gone).ConfigureAwait(false);
        }

        if (gate is not null)
        {
            await gates.WaitAsync(gate, gone).ConfigureAwait(false);
        }

        var pause = options.TimeToFirstToken;
        if (options.PrefillTokensPerSecond > 0)
        {
            pause += TimeSpan.FromSeconds((prompt.Words.Length - cached) / options.PrefillTokensPerSecond);
        }

        await PauseAsync(pause, gone).ConfigureAwait(false);
    }

    private async Task StreamAsync(HttpContext context, MockRequest request, MockPrompt prompt, int cached, MockFault fault, CancellationToken gone)
    {
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        context.Response.Headers.CacheControl = "no-cache";
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        var dialect = MockDialect.Speaks(context.Request.Path.Value!) ? DialectOf(context, request) : null;
        var chat = IsChat(context);
        var head = Head(context, request, chat ? "chat.completion.chunk" : "text_completion");
        var key = MockText.Key(prompt.Text, prompt.Seed);
        var start = time.GetTimestamp();
        var writer = context.Response.BodyWriter;
        var text = new StringBuilder();
        // A fault before the first token comes before everything.
        if (dialect is not null && (fault.Kind is not (MockFaultKind.Crash or MockFaultKind.Stall or MockFaultKind.Reset) || fault.Number > 0))
        {
            Write(writer, dialect.Opening(prompt.Words.Length, cached));
        }

        for (var i = 0; i < prompt.MaxTokens; i++)
        {
            await PaceAsync(start, i, gone).ConfigureAwait(false);
            if (await FaultAsync(context, fault, i, gone).ConfigureAwait(false))
            {
                return;
            }

            var word = MockText.Word(key, i);
            var choice = chat
                ? $$"""{"index":0,"delta":{{(i == 0 ? "{\"role\":\"assistant\",\"content\":" : "{\"content\":")}}{{MockWire.Quote(word)}}},"logprobs":{{Logprob(prompt, [word], chat)}},"finish_reason":null}"""
                : $$"""{"index":0,"text":{{MockWire.Quote(word)}},"logprobs":{{Logprob(prompt, [word], chat)}},"finish_reason":null}""";
            Write(writer, dialect?.Token(i, word) ?? $"data: {head},\"choices\":[{choice}]}}\n\n");
            _ = dialect is null ? text : text.Append(word);
            request.TokensOut = i + 1;
            await writer.FlushAsync(gone).ConfigureAwait(false);
            gone.ThrowIfCancellationRequested();
        }

        if (dialect is not null)
        {
            Write(writer, dialect.Closing(text.ToString(), prompt.Words.Length, cached, prompt.MaxTokens));
            await writer.FlushAsync(gone).ConfigureAwait(false);
            return;
        }

        var last = chat ? """{"index":0,"delta":{},"finish_reason":"length"}""" : """{"index":0,"text":"","finish_reason":"length"}""";
        Write(writer, $"data: {head},\"choices\":[{last}]}}\n\n");
        if (prompt.IncludeUsage)
        {
            Write(writer, $"data: {head},\"choices\":[],{Usage(prompt, cached, prompt.MaxTokens)}}}\n\n");
        }

        writer.Write(s_done);
        await writer.FlushAsync(gone).ConfigureAwait(false);
    }

    private async Task CompleteAsync(HttpContext context, MockRequest request, MockPrompt prompt, int cached, MockFault fault, CancellationToken gone)
    {
        var key = MockText.Key(prompt.Text, prompt.Seed);
        List<string> words = [];
        var start = time.GetTimestamp();
        for (var i = 0; i < prompt.MaxTokens; i++)
        {
            await PaceAsync(start, i, gone).ConfigureAwait(false);
            if (await FaultAsync(context, fault, i, gone).ConfigureAwait(false))
            {
                return;
            }

            words.Add(MockText.Word(key, i));
            request.TokensOut = i + 1;
        }

        if (MockDialect.Speaks(context.Request.Path.Value!))
        {
            await MockWire.JsonAsync(context, 200, DialectOf(context, request).Whole(string.Concat(words), prompt.Words.Length, cached, prompt.MaxTokens)).ConfigureAwait(false);
            return;
        }

        var chat = IsChat(context);
        var head = Head(context, request, chat ? "chat.completion" : "text_completion");
        var answer = MockWire.Quote(string.Concat(words));
        var logprobs = Logprob(prompt, words, chat);
        var choice = chat
            ? $$"""{"index":0,"message":{"role":"assistant","content":{{answer}}},"logprobs":{{logprobs}},"finish_reason":"length"}"""
            : $$"""{"index":0,"text":{{answer}},"logprobs":{{logprobs}},"finish_reason":"length"}""";
        await MockWire.JsonAsync(context, 200, $"{head},\"choices\":[{choice}],{Usage(prompt, cached, prompt.MaxTokens)}}}").ConfigureAwait(false);
    }

    private static Task EmbedAsync(HttpContext context, MockPrompt prompt)
    {
        var items = prompt.Inputs.Select((input, index) =>
        {
            var random = new Random((int)(MockText.Key(input, 0) & 0x7FFFFFFF));
            var vector = Enumerable.Range(0, 8).Select(_ => random.NextSingle() - 0.5f).ToArray();
            var length = MathF.Sqrt(vector.Sum(v => v * v));
            var unit = vector.Select(v => v / length).ToArray();
            var embedding = prompt.Base64
                ? $"\"{Convert.ToBase64String(MemoryMarshal.AsBytes<float>(unit))}\""
                : $"[{string.Join(',', unit.Select(v => v.ToString("R", CultureInfo.InvariantCulture)))}]";
            return $$"""{"object":"embedding","index":{{index}},"embedding":{{embedding}}}""";
        });
        var tokens = prompt.Inputs.Sum(i => MockText.Words(i).Length);
        return MockWire.JsonAsync(
            context,
            200,
            $$"""{"object":"list","data":[{{string.Join(',', items)}}],"model":"mock","usage":{"prompt_tokens":{{tokens}},"total_tokens":{{tokens}}},"mock":true}""");
    }

    // True when the fault ended the answer.
    private async Task<bool> FaultAsync(HttpContext context, MockFault fault, int token, CancellationToken gone)
    {
        if (fault.Number != token)
        {
            return false;
        }

        switch (fault.Kind)
        {
            case MockFaultKind.Crash:
                crash();
                return true;
            case MockFaultKind.Stall:
                await Task.Delay(Timeout.InfiniteTimeSpan, time, gone).ConfigureAwait(false);
                return true;
            case MockFaultKind.Reset:
                context.Abort();
                return true;
            case MockFaultKind.Malformed:
                Write(context.Response.BodyWriter, "data: {not json\n\n");
                return false;
            default:
                return false;
        }
    }

    private MockDialect DialectOf(HttpContext context, MockRequest request) =>
        new(context.Request.Path.Value!, string.Create(CultureInfo.InvariantCulture, $"mock-{request.Number}"), options.Model);

    private static bool IsChat(HttpContext context) => context.Request.Path.Value!.Contains("chat", StringComparison.Ordinal);

    private string Head(HttpContext context, MockRequest request, string kind) => string.Create(
        CultureInfo.InvariantCulture,
        $"{{\"id\":\"mock-{request.Number}\",\"object\":\"{kind}\",\"created\":{time.GetUtcNow().ToUnixTimeSeconds()},\"model\":{MockWire.Quote(options.Model)},\"mock\":true");

    private static string Usage(MockPrompt prompt, int cached, int tokens) => string.Create(
        CultureInfo.InvariantCulture,
        $"\"usage\":{{\"prompt_tokens\":{prompt.Words.Length},\"completion_tokens\":{tokens},\"total_tokens\":{prompt.Words.Length + tokens},\"prompt_tokens_details\":{{\"cached_tokens\":{cached}}}}},\"timings\":{{\"prompt_n\":{prompt.Words.Length - cached},\"predicted_n\":{tokens},\"cache_n\":{cached}}}");

    private static string Logprob(MockPrompt prompt, List<string> words, bool chat)
    {
        if (!prompt.Logprobs)
        {
            return "null";
        }

        var quoted = words.Select(MockWire.Quote).ToList();
        return chat
            ? $$"""{"content":[{{string.Join(',', quoted.Select(w => $$"""{"token":{{w}},"logprob":-0.5,"bytes":null,"top_logprobs":[{"token":{{w}},"logprob":-0.5,"bytes":null}]}"""))}}]}"""
            : $$"""{"tokens":[{{string.Join(',', quoted)}}],"token_logprobs":[{{string.Join(',', quoted.Select(_ => "-0.5"))}}],"top_logprobs":[{{string.Join(',', quoted.Select(w => $$"""{{{w}}:-0.5}"""))}}],"text_offset":[{{string.Join(',', Offsets(words))}}]}""";
    }

    private static IEnumerable<int> Offsets(List<string> words)
    {
        var at = 0;
        foreach (var word in words)
        {
            yield return at;
            at += word.Length;
        }
    }

    // Against the start, not from token to token, so that late timers do not add up.
    private Task PaceAsync(long start, int token, CancellationToken gone)
    {
        if (options.TokensPerSecond <= 0 || token == 0)
        {
            return Task.CompletedTask;
        }

        var due = TimeSpan.FromSeconds(token / options.TokensPerSecond);
        return PauseAsync(due - time.GetElapsedTime(start), gone);
    }

    private Task PauseAsync(TimeSpan pause, CancellationToken gone)
    {
        if (pause <= TimeSpan.Zero)
        {
            return Task.CompletedTask;
        }

        if (_jitter is not null)
        {
            lock (_jitter)
            {
                pause *= 0.8 + (0.4 * _jitter.NextDouble());
            }
        }

        return Task.Delay(pause, time, gone);
    }

    private static void Write(IBufferWriter<byte> writer, string text) => Encoding.UTF8.GetBytes(text, writer);
}
