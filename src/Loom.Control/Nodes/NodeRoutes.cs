using System.Buffers;
using Loom.Core.Settings;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Nodes;

/// <summary><c>/v2/nodes</c>: what agents send, and what operators see and ask.</summary>
internal sealed class NodeRoutes(NodeDirectory nodes)
{
    private const int LargestHeartbeat = 4 * 1024 * 1024;
    private const int LongestDrainMs = 3_600_000;

    public IEnumerable<ApiRoute> Routes =>
    [
        new(HttpMethods.Post, "/v2/nodes/register", Scopes.Node, RegisterAsync),
        new(HttpMethods.Post, "/v2/nodes/{id}/heartbeat", Scopes.Node, BeatAsync),
        new(HttpMethods.Delete, "/v2/nodes/{id}", Scopes.Node, RemoveAsync),
        new(HttpMethods.Get, "/v2/nodes", Scopes.Manage, ListAsync),
        new(HttpMethods.Get, "/v2/nodes/{id}", Scopes.Manage, OneAsync),
        new(HttpMethods.Post, "/v2/nodes/{id}/drain", Scopes.Manage, DrainAsync),
        new(HttpMethods.Post, "/v2/nodes/{id}/undrain", Scopes.Manage, UndrainAsync),
    ];

    private async Task RegisterAsync(ApiCall call)
    {
        CheckProfile();
        var registration = await call.ReadAsync(NodeJson.Default.NodeRegistration, strict: false).ConfigureAwait(false);
        RegistrationChecks.Judge(registration);
        var token = call.Http.Request.Headers.Authorization.ToString();
        const string Scheme = "Bearer ";
        var known = token.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? token[Scheme.Length..].Trim() : null;
        if (nodes.Register(registration with { Address = registration.Address.TrimEnd('/') }, known) == RegisterOutcome.InUse)
        {
            throw new ProblemException(new Problem(
                ProblemCode.NodeIdInUse, $"node id '{registration.NodeId}' is in use by another machine that is online; give this one another POOL_MANAGERD_NODE_ID"));
        }

        var options = nodes.Options;
        await call.WriteAsync(
            StatusCodes.Status200OK,
            new NodeRegistered(true, "registered", registration.NodeId, (int)options.NextHeartbeat.TotalMilliseconds, (int)options.Timeout.TotalMilliseconds),
            NodeJson.Default.NodeRegistered).ConfigureAwait(false);
    }

    private async Task BeatAsync(ApiCall call)
    {
        CheckProfile();
        var id = call["id"];
        var reader = call.Http.Request.BodyReader;
        var body = await call.InTimeAsync(cancel => reader.ReadAtLeastAsync(LargestHeartbeat + 1, cancel)).ConfigureAwait(false);
        BeatOutcome outcome;
        try
        {
            if (body.Buffer.Length > LargestHeartbeat)
            {
                throw new ProblemException(new Problem(ProblemCode.BodyTooLarge, $"the heartbeat is larger than {LargestHeartbeat} bytes"));
            }

            var bytes = body.Buffer.IsSingleSegment ? body.Buffer.First : body.Buffer.ToArray();
            outcome = nodes.Beat(id, HeartbeatScan.Of(bytes.Span, nodes.InstanceOf(id)), () => Content(bytes));
        }
        finally
        {
            reader.AdvanceTo(body.Buffer.End);
        }

        if (outcome == BeatOutcome.Unknown)
        {
            throw new ProblemException(new Problem(ProblemCode.NotFound, $"node '{Redaction.Plain(id)}' is not registered here, or not this start of it; register it"));
        }

        await call.WriteAsync(StatusCodes.Status200OK, new HeartbeatAnswer(true, (int)nodes.Options.NextHeartbeat.TotalMilliseconds), NodeJson.Default.HeartbeatAnswer)
            .ConfigureAwait(false);
    }

    private static NodeHeartbeat Content(ReadOnlyMemory<byte> bytes)
    {
        var beat = JsonBody.Read(bytes, NodeJson.Default.NodeHeartbeat, strict: false);
        RegistrationChecks.Judge(beat);
        return beat;
    }

    private Task RemoveAsync(ApiCall call)
    {
        var id = call["id"];
        if (nodes.IsLocal(id))
        {
            throw new ProblemException(new Problem(ProblemCode.Conflict, $"node '{Redaction.Plain(id)}' is part of this process and goes with it"));
        }

        return nodes.Remove(id) ? call.EmptyAsync(StatusCodes.Status204NoContent) : throw NoNode(id);
    }

    private Task ListAsync(ApiCall call)
    {
        NodeState? state = call.Query("state") switch
        {
            null or "" => null,
            "registering" => NodeState.Registering,
            "online" => NodeState.Online,
            "offline" => NodeState.Offline,
            var other => throw new ProblemException(Problem.Invalid("state", $"there is no state '{Redaction.Plain(other)}'; allowed: registering, online, offline")),
        };
        var found = nodes.Views(state);
        return call.WriteAsync(StatusCodes.Status200OK, new NodeList(found, found.Length), NodeViewJson.Default.NodeList);
    }

    private Task OneAsync(ApiCall call) => ShowAsync(call, call["id"], StatusCodes.Status200OK);

    private async Task DrainAsync(ApiCall call)
    {
        var id = call["id"];
        var asked = await call.ReadOrAsync(NodeViewJson.Default.NodeDrain, new NodeDrain()).ConfigureAwait(false);
        if (asked.DeadlineMs is < 0 or > LongestDrainMs)
        {
            throw new ProblemException(Problem.Invalid("deadline_ms", $"deadline_ms is {asked.DeadlineMs}; 0 to {LongestDrainMs} is allowed"));
        }

        var deadline = asked.DeadlineMs is { } ms ? TimeSpan.FromMilliseconds(ms) : nodes.Options.DrainDeadline;
        if (!nodes.Drain(id, deadline))
        {
            throw NoNode(id);
        }

        await ShowAsync(call, id, StatusCodes.Status202Accepted).ConfigureAwait(false);
    }

    private Task UndrainAsync(ApiCall call)
    {
        var id = call["id"];
        return nodes.Undrain(id) ? ShowAsync(call, id, StatusCodes.Status202Accepted) : throw NoNode(id);
    }

    private Task ShowAsync(ApiCall call, string id, int status) =>
        nodes.View(id) is { } node ? call.WriteAsync(status, node, NodeViewJson.Default.NodeView) : throw NoNode(id);

    private void CheckProfile()
    {
        if (!nodes.Options.Registers)
        {
            throw new ProblemException(new Problem(
                ProblemCode.NodeUnavailable, "nodes do not register in HOME, where control plane and agent share a process; set ORCHESTRATORD_CLOUD_PROFILE=true here", Backoff: new Backoff(30_000)));
        }
    }

    private static ProblemException NoNode(string id) => new(new Problem(ProblemCode.NotFound, $"there is no node '{Redaction.Plain(id)}'; loom nodes lists those that are known"));
}
