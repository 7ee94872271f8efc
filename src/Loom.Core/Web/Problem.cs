using Loom.Wire;

namespace Loom.Core.Web;

/// <summary>An error on its way to a client.</summary>
/// <param name="Code">What kind of error; chooses status, type and code.</param>
/// <param name="Message">What was asked, what was found, what to do.</param>
/// <param name="Param">Path of the field at fault, for example <c>messages[2].content</c>.</param>
/// <param name="Backoff">When to come back; only for errors that a retry can cure.</param>
/// <param name="Status">Status, where the same code has another one here.</param>
/// <param name="SubCode">Finer code, five digits; only for refused logins.</param>
public sealed record Problem(ProblemCode Code, string Message, string? Param = null, Backoff? Backoff = null, int? Status = null, int? SubCode = null)
{
    /// <summary>Engine kind it concerns; only for <c>/v2</c>.</summary>
    public string? Engine { get; init; }

    /// <summary>Admission policy that decided; only for <c>/v2</c>.</summary>
    public string? PolicyLabel { get; init; }

    /// <summary>The row of its code.</summary>
    public ProblemRow Row => ProblemRow.Of(Code);

    /// <summary>Status of the answer.</summary>
    public int HttpStatus => Status ?? Row.Status;

    /// <summary>A field that is missing, of the wrong type or out of range.</summary>
    public static Problem Invalid(string param, string message) => new(ProblemCode.InvalidParams, message, param);
}

/// <summary>Ends the handling of a request with an error that is told to the client.</summary>
/// <param name="problem">The error.</param>
public sealed class ProblemException(Problem problem) : Exception(problem.Message)
{
    /// <summary>The error.</summary>
    public Problem Problem { get; } = problem;
}
