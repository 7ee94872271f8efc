namespace Loom.Wire;

/// <summary>Why a request was refused or ended, as it crosses a wire. Each code has one row in <see cref="ProblemRow"/>.</summary>
public enum ProblemCode
{
    /// <summary>A field is missing, has the wrong type or lies outside its range.</summary>
    InvalidParams,

    /// <summary>Prompt and answer together exceed what the engine holds.</summary>
    ContextLength,

    /// <summary>The engine cannot do what a parameter asks.</summary>
    UnsupportedParameter,

    /// <summary>No token, or a token nobody knows.</summary>
    Unauthenticated,

    /// <summary>A known token without the scope of the route, or a foreign browser page.</summary>
    Forbidden,

    /// <summary>No pool offers the model.</summary>
    ModelNotAvailable,

    /// <summary>No such path or object.</summary>
    NotFound,

    /// <summary>The path exists, its engine does not offer it.</summary>
    UnsupportedRoute,

    /// <summary>The path exists, the method does not.</summary>
    MethodNotAllowed,

    /// <summary>The content type is not JSON.</summary>
    UnsupportedMediaType,

    /// <summary>The request body exceeds the limit.</summary>
    BodyTooLarge,

    /// <summary>The client sent its request too slowly.</summary>
    RequestTimeout,

    /// <summary>Too many failed logins from one address.</summary>
    TooManyLogins,

    /// <summary>The queue is full and its policy turns newcomers away.</summary>
    AdmissionReject,

    /// <summary>The queue is full and an older request had to make room.</summary>
    QueueFullDropLru,

    /// <summary>The caller's deadline cannot be met.</summary>
    DeadlineUnmet,

    /// <summary>The pool is draining or not loaded.</summary>
    PoolUnready,

    /// <summary>Every replica of the pool has failed.</summary>
    PoolUnavailable,

    /// <summary>The control plane is shutting down, or the node is gone.</summary>
    NodeUnavailable,

    /// <summary>Every replica that could be tried has failed this request.</summary>
    ReplicaExhausted,

    /// <summary>The engine broke off after it had begun to answer.</summary>
    WorkerReset,

    /// <summary>The engine was silent for too long, or the request ran past its deadline.</summary>
    DecodeTimeout,

    /// <summary>The object exists in another state or with another content.</summary>
    Conflict,

    /// <summary>Another machine that is online uses this node id.</summary>
    NodeIdInUse,

    /// <summary>The budget of the session is used up.</summary>
    BudgetExhausted,

    /// <summary>The replica has no free slot; counts as busy, not as a fault.</summary>
    NoSlot,

    /// <summary>The shared state cannot be reached.</summary>
    StateUnavailable,

    /// <summary>The disk is full; what must be durable is refused.</summary>
    DiskFull,

    /// <summary>A fault of ours.</summary>
    Internal,
}

/// <summary>How one <see cref="ProblemCode"/> appears on each wire.</summary>
/// <param name="Name">Code of <c>/v2</c> errors, for example <c>QUEUE_FULL_DROP_LRU</c>.</param>
/// <param name="Status">HTTP status while headers can still be chosen.</param>
/// <param name="Retriable">Whether the same request may succeed later.</param>
/// <param name="OpenAiType">Field <c>type</c> of <c>/v1</c> errors.</param>
/// <param name="OpenAiCode">Field <c>code</c> of <c>/v1</c> errors.</param>
public sealed record ProblemRow(string Name, int Status, bool Retriable, string OpenAiType, string OpenAiCode)
{
    private const string Invalid = "invalid_request_error";
    private const string Server = "server_error";

    private static readonly ProblemRow[] s_rows = Build();

    /// <summary>The row of <paramref name="code"/>.</summary>
    public static ProblemRow Of(ProblemCode code) => s_rows[(int)code];

    private static ProblemRow[] Build()
    {
        var rows = new ProblemRow[Enum.GetValues<ProblemCode>().Length];
        void Add(ProblemCode code, string name, int status, bool retriable, string type, string openAi) =>
            rows[(int)code] = new ProblemRow(name, status, retriable, type, openAi);

        Add(ProblemCode.InvalidParams, "INVALID_PARAMS", 400, false, Invalid, "invalid_value");
        Add(ProblemCode.ContextLength, "CONTEXT_LENGTH", 400, false, Invalid, "context_length_exceeded");
        Add(ProblemCode.UnsupportedParameter, "UNSUPPORTED_PARAMETER", 400, false, Invalid, "unsupported_parameter");
        Add(ProblemCode.Unauthenticated, "UNAUTHENTICATED", 401, false, "authentication_error", "invalid_api_key");
        Add(ProblemCode.Forbidden, "FORBIDDEN", 403, false, "permission_error", "forbidden");
        Add(ProblemCode.ModelNotAvailable, "MODEL_NOT_AVAILABLE", 404, false, Invalid, "model_not_found");
        Add(ProblemCode.NotFound, "NOT_FOUND", 404, false, Invalid, "not_found");
        Add(ProblemCode.UnsupportedRoute, "NOT_FOUND", 404, false, Invalid, "unsupported_route");
        Add(ProblemCode.MethodNotAllowed, "INVALID_PARAMS", 405, false, Invalid, "method_not_allowed");
        Add(ProblemCode.UnsupportedMediaType, "INVALID_PARAMS", 415, false, Invalid, "unsupported_media_type");
        Add(ProblemCode.BodyTooLarge, "INVALID_PARAMS", 413, false, Invalid, "request_too_large");
        Add(ProblemCode.RequestTimeout, "INVALID_PARAMS", 408, true, Invalid, "request_timeout");
        Add(ProblemCode.TooManyLogins, "ADMISSION_REJECT", 429, true, "rate_limit_error", "too_many_logins");
        Add(ProblemCode.AdmissionReject, "ADMISSION_REJECT", 429, true, "rate_limit_error", "queue_full");
        Add(ProblemCode.QueueFullDropLru, "QUEUE_FULL_DROP_LRU", 429, true, "rate_limit_error", "queue_full");
        Add(ProblemCode.DeadlineUnmet, "DEADLINE_UNMET", 504, false, Invalid, "deadline_unmet");
        Add(ProblemCode.PoolUnready, "POOL_UNREADY", 503, true, Server, "unavailable");
        Add(ProblemCode.PoolUnavailable, "POOL_UNAVAILABLE", 503, true, Server, "unavailable");
        Add(ProblemCode.NodeUnavailable, "NODE_UNAVAILABLE", 503, true, Server, "unavailable");
        Add(ProblemCode.ReplicaExhausted, "REPLICA_EXHAUSTED", 503, true, Server, "unavailable");
        Add(ProblemCode.WorkerReset, "WORKER_RESET", 502, true, Server, "engine_reset");
        Add(ProblemCode.DecodeTimeout, "DECODE_TIMEOUT", 504, true, Server, "engine_timeout");
        Add(ProblemCode.Conflict, "CONFLICT", 409, false, Invalid, "conflict");
        Add(ProblemCode.NodeIdInUse, "NODE_ID_IN_USE", 409, false, Invalid, "conflict");
        Add(ProblemCode.BudgetExhausted, "BUDGET_EXHAUSTED", 429, false, "insufficient_quota", "budget_exhausted");
        Add(ProblemCode.NoSlot, "NO_SLOT", 503, true, Server, "unavailable");
        Add(ProblemCode.StateUnavailable, "STATE_UNAVAILABLE", 503, true, Server, "unavailable");
        Add(ProblemCode.DiskFull, "DISK_FULL", 507, false, Server, "internal_error");
        Add(ProblemCode.Internal, "INTERNAL", 500, false, Server, "internal_error");
        return rows;
    }
}
