using System.Diagnostics;
using System.Net.Http.Headers;
using Loom.Control.Catalog;
using Loom.Core.Web;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Gateway;

/// <summary>
/// One request as spans: the request itself, its wait for a slot, the choice of the replica, each attempt on an engine. Continues the caller's trace
/// (<c>traceparent</c>) and is continued by the engine. Prompts and answers are never recorded. Costs one field read a step while nobody listens.
/// </summary>
internal sealed class CallTrace
{
    /// <summary>Name of the source; exporters ask for it.</summary>
    public const string SourceName = "Loom.Control";

    private static readonly ActivitySource s_source = new(SourceName);
    private static readonly string[] s_names = [.. Enum.GetValues<InferenceRoute>().Select(r => "POST " + r.Path)];

    private Activity? _request;
    private Activity? _wait;
    private Activity? _engine;

    /// <summary>Begins the span of a request.</summary>
    /// <param name="headers">Its headers.</param>
    /// <param name="route">Its route.</param>
    /// <param name="requestId">Its id.</param>
    public void Begin(IHeaderDictionary headers, InferenceRoute route, string requestId)
    {
        _request = null;
        if (!s_source.HasListeners())
        {
            return;
        }

        ActivityContext.TryParse(headers.TraceParent.ToString(), headers.TraceState.ToString(), isRemote: true, out var parent);
        _request = Start(s_names[(int)route], ActivityKind.Server, parent);
        _request?.SetTag("gen_ai.operation.name", OperationOf(route)).SetTag("loom.request_id", requestId);
    }

    /// <summary>The model is known.</summary>
    public void Model(string model) => _request?.SetTag("gen_ai.request.model", model);

    /// <summary>Asks admission for a slot.</summary>
    public void Wait() => _wait = Child("admission.wait", ActivityKind.Internal);

    /// <summary>Has a slot, or was refused.</summary>
    /// <param name="replica">The replica; null = refused.</param>
    /// <param name="strategy">The strategy that chose it.</param>
    /// <param name="waited">Whether it had to wait in the queue.</param>
    public void Placed(Replica? replica, string strategy, bool waited)
    {
        if (_wait is null)
        {
            return;
        }

        _wait.SetTag("loom.queued", waited);
        Stop(_wait);
        _wait = null;
        if (replica is not null && Child("placement.choose", ActivityKind.Internal) is { } choice)
        {
            choice.SetTag("loom.strategy", strategy).SetTag("loom.replica", replica.Status.Id.ToString());
            Stop(choice);
        }
    }

    /// <summary>Sends the request to an engine, which continues the trace.</summary>
    public void Send(HttpRequestHeaders headers, Replica replica, int attempt)
    {
        Stop(_engine);
        _engine = Child("engine.request", ActivityKind.Client);
        if (_engine is null)
        {
            return;
        }

        var id = replica.Status.Id;
        _engine.SetTag("loom.node", id.NodeId).SetTag("loom.pool", id.PoolId).SetTag("loom.replica", id.ReplicaName).SetTag("loom.attempt", attempt).SetTag("loom.mock", replica.Status.Mock);
        headers.Remove("traceparent");
        headers.TryAddWithoutValidation("traceparent", _engine.Id);
    }

    /// <summary>The first byte of the answer is here.</summary>
    public void FirstToken() => _engine?.AddEvent(new ActivityEvent("first_token"));

    /// <summary>The engine has answered or failed.</summary>
    /// <param name="trouble">Why it failed; null = it did not.</param>
    public void Answered(Problem? trouble)
    {
        if (trouble is not null)
        {
            _engine?.SetStatus(ActivityStatusCode.Error, trouble.Row.Name);
        }

        Stop(_engine);
        _engine = null;
    }

    /// <summary>The request is over.</summary>
    /// <param name="status">Status of the answer.</param>
    /// <param name="problem">What went wrong; null = nothing.</param>
    /// <param name="usage">Tokens, where they are known.</param>
    /// <param name="mock">Whether a mock engine answered.</param>
    public void End(int status, Problem? problem, TokenUsage? usage, bool mock)
    {
        Stop(_wait);
        Stop(_engine);
        _wait = _engine = null;
        if (_request is null)
        {
            return;
        }

        _request.SetTag("http.response.status_code", status).SetTag("loom.mock", mock);
        if (usage is { } tokens)
        {
            _request.SetTag("gen_ai.usage.input_tokens", tokens.Prompt).SetTag("gen_ai.usage.output_tokens", tokens.Completion);
        }

        if (problem is not null)
        {
            _request.SetStatus(ActivityStatusCode.Error, problem.Row.Name);
        }

        Stop(_request);
        _request = null;
    }

    // By the GenAI conventions, which have no name for the rest.
    private static string OperationOf(InferenceRoute route) => route switch
    {
        InferenceRoute.Completions => "text_completion",
        InferenceRoute.Embeddings => "embeddings",
        InferenceRoute.Rerank => "rerank",
        InferenceRoute.Tokenize or InferenceRoute.CountTokens => "tokenize",
        _ => "chat",
    };

    private Activity? Child(string name, ActivityKind kind) => _request is null ? null : Start(name, kind, _request.Context);

    // The ambient activity would leak into whatever runs next on the connection, so it is put back at once.
    private static Activity? Start(string name, ActivityKind kind, ActivityContext parent)
    {
        var ambient = Activity.Current;
        Activity.Current = null;
        var activity = s_source.StartActivity(name, kind, parent);
        Activity.Current = ambient;
        return activity;
    }

    private static void Stop(Activity? activity)
    {
        if (activity is null)
        {
            return;
        }

        var ambient = Activity.Current;
        activity.Stop();
        Activity.Current = ambient;
    }
}
