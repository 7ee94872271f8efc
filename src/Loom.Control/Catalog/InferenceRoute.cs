namespace Loom.Control.Catalog;

/// <summary>The routes that reach an engine.</summary>
internal enum InferenceRoute
{
    Chat,
    Completions,
    Embeddings,
    Responses,
    Messages,
    CountTokens,
    Rerank,
    Tokenize,
}

/// <summary>What each route is called.</summary>
internal static class InferenceRoutes
{
    private static readonly string[] s_paths =
    [
        "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens", "/v1/rerank", "/tokenize",
    ];

    private static readonly string[] s_capabilities = ["chat", "completions", "embeddings", "responses", "messages", "messages/count_tokens", "rerank", "tokenize"];

    extension(InferenceRoute route)
    {
        /// <summary>Its path here.</summary>
        public string Path => s_paths[(int)route];

        /// <summary>What an engine that offers it has among its capabilities.</summary>
        public string Capability => s_capabilities[(int)route];

        /// <summary>Whether every engine is taken to offer it.</summary>
        public bool IsBasic => route is InferenceRoute.Chat or InferenceRoute.Completions or InferenceRoute.Embeddings;

        /// <summary>Whether its answers may be streams.</summary>
        public bool CanStream => route is InferenceRoute.Chat or InferenceRoute.Completions or InferenceRoute.Responses or InferenceRoute.Messages;

        /// <summary>Whether streams of it report usage only when asked.</summary>
        public bool AsksUsage => route is InferenceRoute.Chat or InferenceRoute.Completions;

        /// <summary>Whether errors have the shape of Anthropic's API.</summary>
        public bool IsAnthropic => route is InferenceRoute.Messages or InferenceRoute.CountTokens;
    }

    /// <summary>The route of a path; null when it is none.</summary>
    public static InferenceRoute? Find(string path) => path switch
    {
        "/v1/chat/completions" => InferenceRoute.Chat,
        "/v1/completions" => InferenceRoute.Completions,
        "/v1/embeddings" => InferenceRoute.Embeddings,
        "/v1/responses" => InferenceRoute.Responses,
        "/v1/messages" => InferenceRoute.Messages,
        "/v1/messages/count_tokens" => InferenceRoute.CountTokens,
        "/v1/rerank" => InferenceRoute.Rerank,
        "/tokenize" => InferenceRoute.Tokenize,
        _ => null,
    };
}
