using System.Text.Json;
using Loom.Control.Artifacts;
using Loom.Control.Gateway;
using Loom.Core.Settings;
using Loom.Core.Web;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Tasks;

/// <summary><c>/v2/tasks</c>.</summary>
internal sealed class TaskRoutes(TaskDesk desk, GatewayOptions options, TimeProvider time)
{
    private static readonly string[] s_states = ["queued", "running", "completed", "failed", "cancelled"];

    public IEnumerable<ApiRoute> Routes =>
    [
        new("POST", "/v2/tasks", Scopes.Inference, PostAsync),
        new("GET", "/v2/tasks", Scopes.Inference, ListAsync),
        new("GET", "/v2/tasks/{id}", Scopes.Inference, GetAsync),
        new("GET", "/v2/tasks/{id}/events", Scopes.Inference, EventsAsync),
        new("POST", "/v2/tasks/{id}/cancel", Scopes.Inference, CancelAsync),
    ];

    private async Task PostAsync(ApiCall call)
    {
        var bytes = await call.ReadBytesAsync(options.MaxBodyBytes).ConfigureAwait(false);
        var request = JsonBody.Read(bytes, TaskJson.Default.TaskRequest, strict: true);
        using var document = JsonDocument.Parse(bytes);
        var answer = await desk.AcceptAsync(call.Caller, request, CanonicalJson.DigestOf(document.RootElement), call.RequestId).ConfigureAwait(false);
        await call.WriteAsync(StatusCodes.Status202Accepted, answer, TaskJson.Default.TaskAccepted).ConfigureAwait(false);
    }

    private Task ListAsync(ApiCall call)
    {
        var state = call.Query("state");
        if (state is not null && !s_states.Contains(state))
        {
            throw new ProblemException(Problem.Invalid("state", $"'state' is '{Redaction.Plain(state)}', must be one of {string.Join(", ", s_states)}"));
        }

        var session = call.Query("session_id");
        var tasks = desk.List(call.Caller).Select(TaskDesk.ViewOf)
            .Where(t => (state is null || s_states[(int)t.State] == state) && (session is null || t.SessionId == session))
            // The whole answer is in the task's own page.
            .Select(t => t with { Text = null, Result = null });
        var list = new TaskList([.. tasks], 0);
        return call.WriteAsync(StatusCodes.Status200OK, list with { Count = list.Tasks.Length }, TaskJson.Default.TaskList);
    }

    private Task GetAsync(ApiCall call) => call.WriteAsync(StatusCodes.Status200OK, TaskDesk.ViewOf(desk.Find(call.Caller, call["id"])), TaskJson.Default.TaskView);

    private async Task CancelAsync(ApiCall call)
    {
        await desk.CancelAsync(call.Caller, call["id"]).ConfigureAwait(false);
        await call.EmptyAsync(StatusCodes.Status204NoContent).ConfigureAwait(false);
    }

    private async Task EventsAsync(ApiCall call)
    {
        var task = desk.Find(call.Caller, call["id"]);
        var after = After(call);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(call.Gone, task.Parked.Token, desk.Closing);
        await new TaskEventStream(call.Http, task, call.QueryFlag("verbose"), options, time).RunAsync(after, ends.Token).ConfigureAwait(false);
    }

    private static long After(ApiCall call)
    {
        var text = call.Http.Request.Headers["Last-Event-ID"].ToString();
        if (text.Length == 0)
        {
            return 0;
        }

        return long.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var after)
            ? after
            : throw new ProblemException(Problem.Invalid("Last-Event-ID", $"header 'Last-Event-ID' is '{Redaction.Plain(text)}', must be the number of an event"));
    }
}
