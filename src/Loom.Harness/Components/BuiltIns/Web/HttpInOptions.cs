using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Web;

/// <summary>When a request is answered.</summary>
internal enum HttpReply
{
    /// <summary>With 202 and the event's id as soon as the event has entered the stream.</summary>
    Accepted,

    /// <summary>With 200 and the event's id when all that came of the event is confirmed.</summary>
    AfterAck,

    /// <summary>With the event that comes back by the port <c>in</c>.</summary>
    Response,
}

/// <summary>Who may send requests.</summary>
internal enum HttpAuth
{
    /// <summary>Who shows a token the harness knows.</summary>
    Token,

    /// <summary>Anybody who reaches the port.</summary>
    None,
}

/// <summary>What a request's body is.</summary>
internal enum HttpBody
{
    Json,
    Text,
}

/// <summary>Settings of <c>http_in</c>.</summary>
internal sealed record HttpInOptions : IAcknowledges, IValidatableObject
{
    [Description("Path of the route on the harness's own address, for instance /triage; parts in braces, as in /users/{id}, are any text.")]
    public required string Route { get; init; }

    [AllowedValues("POST", "PUT", "GET")]
    [Description("The method. The payload of GET is an object of its query values.")]
    public string Method { get; init; } = "POST";

    [Description("What the body is: json, the payload itself, or text, which becomes {\"text\": body}.")]
    public HttpBody Body { get; init; }

    [Range(0, 1 << 30)]
    [Description("Largest body, in bytes; a larger one is refused with 413.")]
    public int MaxBodyBytes { get; init; } = 4 << 20;

    [Description("Who may send requests: token (the token of the harness, as for its other routes) or none (anybody who reaches the port).")]
    public HttpAuth Auth { get; init; }

    [Description("When a request is answered: accepted, with 202 and the event's id once it is in the stream; after_ack, with 200 and its id once sinks have confirmed all that came of it or it is a dead letter (where the system keeps state, once a checkpoint holds it); response, with the event that comes back by the port \"in\".")]
    public HttpReply Reply { get; init; }

    [Description("Status of a response, an expression over the event that came back, for instance $.status; left out: 200.")]
    public Expression? Status { get; init; }

    [Description("Body of a response, an expression over the event that came back; left out: its payload.")]
    public Expression? Answer { get; init; }

    [Range(1, 100_000)]
    [Description("Requests in work at once; more are refused with 503 and Retry-After. Keep it below the buffers of the bindings that lead back to this component.")]
    public int MaxConcurrent { get; init; } = 100;

    [Description("How long a response or an acknowledgement is waited for; then the answer is 504, though the event may still be handled.")]
    public TimeSpan TimeoutMs { get; init; } = TimeSpan.FromSeconds(30);

    bool IAcknowledges.Acknowledges => Reply == HttpReply.AfterAck;

    /// <inheritdoc />
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!Route.StartsWith('/') || Route.AsSpan().ContainsAny(" ?#"))
        {
            yield return new ValidationResult("a route begins with / and holds neither blanks nor a query", [nameof(Route)]);
        }

        if (Reply != HttpReply.Response && (Status is not null || Answer is not null))
        {
            yield return new ValidationResult("status and answer belong to reply: response", [nameof(Reply)]);
        }
    }
}
