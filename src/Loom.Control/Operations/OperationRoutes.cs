using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using Loom.Control.Gateway;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Operations;

/// <summary><c>/v2/operations</c>, and how every route answers that begins one.</summary>
internal sealed class OperationRoutes(OperationTable operations, GatewayOptions options, TimeProvider time)
{
    public IEnumerable<ApiRoute> Routes =>
    [
        new("GET", "/v2/operations/{id}", Scopes.Manage, GetAsync),
        new("GET", "/v2/operations/{id}/events", Scopes.Manage, EventsAsync),
    ];

    /// <summary>Answers with 202 and the id, or with <c>?wait=true</c> holds until the end: 200 when it is done, 409 when it was rolled back, 500 when it failed.</summary>
    /// <exception cref="ProblemException">409: a node is busy with something else, and nothing was begun.</exception>
    public static async Task AnswerAsync(ApiCall call, Operation operation)
    {
        if (!call.QueryFlag("wait"))
        {
            await operation.FirstWordAsync().ConfigureAwait(false);
            var id = CheckedForConflict(operation.Current.Status).Id;
            call.Http.Response.Headers.Location = $"/v2/operations/{id}";
            await call.WriteAsync(StatusCodes.Status202Accepted, new OperationAccepted(id, "running"), OperationJson.Default.OperationAccepted).ConfigureAwait(false);
            return;
        }

        var ended = CheckedForConflict(await operation.EndedAsync(call.Gone).ConfigureAwait(false));
        await call.WriteAsync(OperationAnswers.StatusOf(ended.Status), ended, NodeJson.Default.OperationStatus).ConfigureAwait(false);
    }

    private static OperationStatus CheckedForConflict(OperationStatus status) =>
        status.IsConflict ? throw new ProblemException(new Problem(ProblemCode.Conflict, status.Error ?? "something else is under way there")) : status;

    private Operation Find(string id) => operations.Find(id) ?? throw new ProblemException(new Problem(
        ProblemCode.NotFound, $"there is no operation '{id}'; the last {OperationTable.Kept} that ended are kept, until the server stops"));

    private Task GetAsync(ApiCall call) => call.WriteAsync(StatusCodes.Status200OK, Find(call["id"]).Current.Status, NodeJson.Default.OperationStatus);

    // Each event is the whole status, so a reader that misses some has lost nothing.
    private async Task EventsAsync(ApiCall call)
    {
        var operation = Find(call["id"]);
        var response = call.Http.Response;
        LoomHeaders.Stream(response.Headers);
        var seen = long.TryParse(call.Http.Request.Headers["Last-Event-ID"].ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var last) ? last : 0;
        while (true)
        {
            var (status, version) = operation.Current;
            if (version > seen)
            {
                seen = version;
                var name = status.Ended ? "end" : "progress";
                var json = Encoding.UTF8.GetString(JsonAnswer.BytesOf(status, NodeJson.Default.OperationStatus));
                response.BodyWriter.Append(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"id: {version}\nevent: {name}\ndata: {json}\n\n")));
            }

            await response.BodyWriter.FlushAsync(call.Gone).ConfigureAwait(false);
            if (status.Ended)
            {
                return;
            }

            var changed = operation.ChangedAsync(version);
            await changed.WaitAsync(options.SseKeepAlive, time, call.Gone).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            call.Gone.ThrowIfCancellationRequested();
            if (!changed.IsCompleted)
            {
                response.BodyWriter.Append(": \n\n"u8);
            }
        }
    }
}

/// <summary>Answer of a route that begins an operation.</summary>
internal sealed record OperationAccepted(string OperationId, string Status);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(OperationAccepted))]
internal sealed partial class OperationJson : JsonSerializerContext;
