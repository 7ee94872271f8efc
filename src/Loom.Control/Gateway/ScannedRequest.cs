namespace Loom.Control.Gateway;

/// <summary>How <c>stream_options.include_usage</c> stands in a request, and so how it can be spliced in.</summary>
internal enum UsageAsk
{
    /// <summary>The client asked for usage itself; nothing to splice.</summary>
    Asked,

    /// <summary>No <c>stream_options</c>: insert the whole field after the opening brace.</summary>
    NoOptions,

    /// <summary>An empty <c>stream_options</c> object: insert the flag into it.</summary>
    EmptyOptions,

    /// <summary><c>stream_options</c> without the flag: insert the flag and a comma.</summary>
    OtherOptions,

    /// <summary>The flag is false or null: replace its value.</summary>
    Declined,

    /// <summary><c>stream_options</c> is null: replace its value.</summary>
    NullOptions,
}

/// <summary>What the gateway needs to know of a request body. Offsets are into the body as it came.</summary>
internal struct ScannedRequest
{
    /// <summary>Bytes of the model name between its quotes.</summary>
    public Range ModelName;

    /// <summary>Whether the name contains escapes and must be read as JSON first.</summary>
    public bool ModelEscaped;

    /// <summary>Whether the answer is to be streamed.</summary>
    public bool Stream;

    /// <summary>Whether <c>service_tier</c> is <c>flex</c>, which makes the request batch.</summary>
    public bool Flex;

    /// <summary>Tokens it may generate at most; null = not said.</summary>
    public int? MostTokens;

    /// <summary>How usage is asked for.</summary>
    public UsageAsk Usage;

    /// <summary>Where a usage splice goes; a range to replace, empty for an insertion.</summary>
    public Range UsagePlace;

    /// <summary>Offset just after the opening brace of the body.</summary>
    public int BodyStart;
}
