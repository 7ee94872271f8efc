namespace Loom.Cli.Scaffolds;

/// <summary>The first version of a project's <c>loom.toml</c>.</summary>
internal static class ProjectScaffold
{
    /// <summary>Words of <c>--template</c>.</summary>
    public static readonly string[] Templates = ["quickstart", "agents"];

    /// <summary>What git shall not keep.</summary>
    public const string Ignored = ".loom/\n.runtime/\n.env\n";

    /// <summary>The text of <c>loom.toml</c>.</summary>
    public static string File(string template, string name) => $"""
        #:schema .loom/loom.schema.json
        # What Loom runs here. `loom config explain KEY` tells what a key does, `loom config show` what is in force.
        name = "{name.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}"

        {(template is "agents" ? Agents : Pool)}
        """;

    private const string Pool = """
        [serving.pools.default]
        engine = "embedded"      # llama.cpp on this machine's CPU; needs Node 20
        models = ["demo"]        # or a GGUF file of yours: "file:/path/to/model.gguf"
        slots = 4                # requests answered at the same time

        """;

    private const string Agents = """
        # Every script in agents/ is an agent, called like its file. A table [agents.NAME] sets more than the defaults:
        #
        # [agents.hello]
        # watch = true               # start it anew when its file changes
        # restart = "always"         # default: on-failure
        # depends_on = ["another"]   # start after that one is ready
        #
        # A model of your own for the agents to use:
        #
        # [serving.pools.default]
        # engine = "embedded"        # llama.cpp on this machine's CPU; needs Node 20
        # models = ["demo"]

        """;
}
