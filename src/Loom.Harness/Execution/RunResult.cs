namespace Loom.Harness.Execution;

/// <summary>How a run ended.</summary>
/// <param name="ExitCode">0 ended or drained, 1 failed, 4 dead letters under strict, 5 abandoned work, 6 no usable state.</param>
/// <param name="Reason">One sentence for people.</param>
/// <param name="Errors">What went wrong, the first cause first.</param>
/// <param name="Left">Events left in streams, by binding, when work was abandoned.</param>
internal sealed record RunResult(int ExitCode, string Reason, IReadOnlyList<Exception> Errors, IReadOnlyDictionary<string, long> Left)
{
    public const int Ended = 0;
    public const int Failed = 1;
    public const int DeadLetters = 4;
    public const int Abandoned = 5;
    public const int NoState = 6;
}
