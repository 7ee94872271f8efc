namespace Loom.Cli.Status;

/// <summary>Processes of an agent with several replicas are called <c>NAME-1</c>, <c>NAME-2</c> ...; its own name means them all.</summary>
internal static class ReplicaName
{
    /// <summary>Whether <paramref name="name"/> means <paramref name="process"/>.</summary>
    public static bool Answers(string process, string name) =>
        string.Equals(process, name, StringComparison.Ordinal)
        || (process.Length > name.Length + 1 && process[name.Length] == '-' && process.StartsWith(name, StringComparison.Ordinal)
            && !process.AsSpan(name.Length + 1).ContainsAnyExceptInRange('0', '9'));

    /// <summary>Whether two processes are replicas of one agent by their names: <c>w-2</c> and <c>w-10</c>.</summary>
    public static bool SameAgent(string one, string other) => StemOf(one) is { Length: > 0 } stem && stem.SequenceEqual(StemOf(other));

    private static ReadOnlySpan<char> StemOf(string process)
    {
        var stem = process.AsSpan().TrimEnd("0123456789");
        return stem.Length < process.Length && stem.Length > 1 && stem[^1] == '-' ? stem : [];
    }
}
