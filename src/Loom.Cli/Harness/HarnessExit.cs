namespace Loom.Cli.Harness;

/// <summary>Exit codes of <c>loom harness</c> beyond those every verb has.</summary>
internal static class HarnessExit
{
    /// <summary>The files are not what was locked, or nothing was.</summary>
    public const int Lock = 3;
}
