using Loom.Core.Web;

namespace Loom.Control.Gateway;

/// <summary>How one attempt on a replica ended.</summary>
internal enum AttemptEnd
{
    /// <summary>The answer went out whole.</summary>
    Done,

    /// <summary>Nothing has been forwarded and another replica may be tried.</summary>
    TryAgain,

    /// <summary>The request ends with an error.</summary>
    Failed,
}

/// <summary>Outcome of an attempt.</summary>
/// <param name="End">How it ended.</param>
/// <param name="Problem">Why, unless it is done.</param>
internal readonly record struct AttemptResult(AttemptEnd End, Problem? Problem)
{
    public static AttemptResult Done { get; } = new(AttemptEnd.Done, null);

    public static AttemptResult TryAgain(Problem problem) => new(AttemptEnd.TryAgain, problem);

    public static AttemptResult Failed(Problem problem) => new(AttemptEnd.Failed, problem);
}
