namespace Loom.Cli.Status;

/// <summary>Processes of an agent with several replicas are called <c>NAME-1</c>, <c>NAME-2</c> ...; its own name means them all.</summary>
internal static class ReplicaName
{
    /// <summary>Whether <paramref name="name"/> means <paramref name="process"/>.</summary>
    public static bool Answers(string process, string name) =>
        string.Equals(process, name, StringComparison.Ordinal)
        || (process.Length > name.Length + 1 && process[name.Length] == '-' && process.StartsWith(name, StringComparison.Ordinal)
            && !process.AsSpan(name.Length + 1).ContainsAnyExceptInRange('0', '9'));
}
