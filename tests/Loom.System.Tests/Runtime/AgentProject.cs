using Loom.SystemTests.Clients;
using Loom.Testing;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary>One running project with a mock pool and three agents: one that stays and talks on both streams, one that does its work and ends, one that gives up.</summary>
public sealed class AgentProject : IAsyncLifetime
{
    /// <summary>Says <c>hello</c>, writes a line to stderr, then a beat every 0.2 s.</summary>
    public const string Steady = """
        trap 'exit 0' TERM
        echo hello
        echo oops >&2
        beat=0
        while :; do
            sleep 0.2 &
            wait $! 2>/dev/null
            beat=$((beat + 1))
            echo "beat $beat"
        done
        """;

    public const string Job = "echo working\nexit 0\n";

    /// <summary>Ends with the code that is never tried again.</summary>
    public const string Hopeless = "echo cannot >&2\nexit 125\n";

    public RunningLoom Loom { get; private set; } = null!;

    public string Folder => Loom.Folder;

    /// <summary>A project folder with these scripts as its agents.</summary>
    public static string NewFolder(string toml, params (string Name, string Script)[] agents)
    {
        var folder = RunningLoom.NewFolder(toml);
        Directory.CreateDirectory(Path.Combine(folder, "agents"));
        foreach (var (name, script) in agents)
        {
            File.WriteAllText(Path.Combine(folder, "agents", name + ".sh"), script);
        }

        return folder;
    }

    public async ValueTask InitializeAsync()
    {
        Loom = RunningLoom.Launch(NewFolder(MockProject.Toml("--tokens-per-second", "200"), ("steady", Steady), ("job", Job), ("hopeless", Hopeless)));
        await Loom.WaitReadyAsync();
        await RunAsync("wait", "steady", "--timeout", "180s");
        await RunAsync("wait", "job", "--for", "ended", "--timeout", "180s");
        await RunAsync("wait", "hopeless", "--for", "ended", "--timeout", "180s");
    }

    public ValueTask DisposeAsync() => Loom.DisposeAsync();

    /// <summary>Runs a verb in the project.</summary>
    public Task<(int Exit, string Out, string Err)> RunAsync(params string[] arguments) => RunningLoom.RunAsync(Folder, arguments);
}
