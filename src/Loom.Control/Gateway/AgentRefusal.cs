using System.Text.Json;
using Loom.Control.Catalog;
using Loom.Core.Web;
using Loom.Wire;

namespace Loom.Control.Gateway;

/// <summary>Errors of the agent before an engine: they are no answer to the client's request, whatever their status.</summary>
internal static class AgentRefusal
{
    /// <summary>Whether an answer is the agent's own error.</summary>
    public static bool Is(HttpResponseMessage answer) => (int)answer.StatusCode >= 400 && answer.Headers.NonValidated.Contains(RouteServer.OwnError);

    /// <summary>What it makes of an attempt: another replica is tried, unless a provider may have been paid for this one.</summary>
    /// <param name="replica">The replica.</param>
    /// <param name="status">Status of the answer.</param>
    /// <param name="body">Its body.</param>
    public static AttemptResult Of(Replica replica, int status, ReadOnlyMemory<byte> body)
    {
        var (code, message) = Read(body);
        var problem = new Problem(
            ProblemCode.WorkerReset, $"the agent of '{replica.Status.Id}' refused the request with status {status}: {message}", Backoff: new Backoff(1000));
        var passedOn = status >= 500 && code != ProblemRow.Of(ProblemCode.NoSlot).Name;
        return replica.IsRemote && passedOn ? AttemptResult.Failed(problem) : AttemptResult.TryAgain(problem);
    }

    private static (string? Code, string? Message) Read(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            return json.RootElement.ValueKind == JsonValueKind.Object ? (Text(json, "code"), Text(json, "message")) : default;
        }
        catch (JsonException)
        {
            return default;
        }
    }

    private static string? Text(JsonDocument json, string name) =>
        json.RootElement.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
