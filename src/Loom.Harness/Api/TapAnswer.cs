using System.Text;
using System.Text.Json;
using Loom.Core.Web;
using Loom.Harness.Architecture;
using Loom.Harness.Execution;
using Loom.Harness.Expressions;
using Loom.Harness.Secrets;
using Loom.Wire;

namespace Loom.Harness.Api;

/// <summary>Shows what passes through a stream of a running system, as server-sent events.</summary>
internal static class TapAnswer
{
    public static async Task WriteAsync(SystemAssembly assembly, ApiCall call)
    {
        var name = call.Query("stream") ?? "";
        var stream = assembly.Run.Streams.FirstOrDefault(s => s.Plan.Name == name || $"{s.Plan.FromComponent}.{s.Plan.FromPort}" == name)
            ?? throw new ProblemException(new Problem(ProblemCode.NotFound, $"there is no stream \"{name}\"; there are: {string.Join(", ", assembly.Run.Streams.Select(s => s.Plan.Name))}"));
        Expression? filter;
        try
        {
            filter = call.Query("filter") is { Length: > 0 } text ? Expression.Compile(text) : null;
        }
        catch (ExpressionException e)
        {
            throw new ProblemException(new Problem(ProblemCode.InvalidParams, $"filter: column {e.Column}: {e.Message}"));
        }

        var sample = int.TryParse(call.Query("sample"), out var every) && every > 0 ? every : 1;
        var secrets = SecretFields.Of(assembly.Plan, stream.Plan);
        var isError = assembly.Plan.Components.Any(c => c.Name == stream.Plan.FromComponent && c.Ports.Any(p => p.Name == stream.Plan.FromPort && p.Class == SemanticClass.ErrorOut));
        using var tap = stream.Tap(sample);
        call.Http.Response.ContentType = "text/event-stream";
        var body = call.Http.Response.Body;
        await call.Http.Response.StartAsync(call.Gone).ConfigureAwait(false);
        // Whoever asks is told at once that the tap is on, not with the first event; a comment, which readers of events pass over.
        await body.WriteAsync(": on\n\n"u8.ToArray(), call.Gone).ConfigureAwait(false);
        await body.FlushAsync(call.Gone).ConfigureAwait(false);
        var dropped = 0L;
        await foreach (var e in tap.ReadAllAsync(call.Gone).ConfigureAwait(false))
        {
            if (filter is not null && !Matches(filter, e))
            {
                continue;
            }

            if (tap.Dropped > dropped)
            {
                dropped = tap.Dropped;
                await body.WriteAsync(Encoding.UTF8.GetBytes($"event: dropped\ndata: {{\"dropped\":{dropped}}}\n\n"), call.Gone).ConfigureAwait(false);
            }

            await body.WriteAsync(Encoding.UTF8.GetBytes($"event: item\ndata: {TapText.Of(e, secrets, isError)}\n\n"), call.Gone).ConfigureAwait(false);
            await body.FlushAsync(call.Gone).ConfigureAwait(false);
        }
    }

    private static bool Matches(Expression filter, in Loom.Components.Event<JsonElement> e)
    {
        try
        {
            return filter.Test(e);
        }
        catch (Loom.Components.ItemException)
        {
            // A field that an event lacks does not match.
            return false;
        }
    }
}
