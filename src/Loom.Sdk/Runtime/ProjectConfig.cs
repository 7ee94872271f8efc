using System.Collections.Immutable;
using System.Text;
using System.Text.Json;

namespace Loom.Runtime;

/// <summary>The bridge, <c>[bridge]</c>.</summary>
/// <param name="Address">Where it listens, or is found: <c>host:port</c> (<c>LOOM_BRIDGE_ADDR</c>). Default <c>127.0.0.1:50051</c>.</param>
/// <param name="TimeoutSec">Default time of a tool call, seconds. Default 30.</param>
public sealed record BridgeConfig(string Address, double TimeoutSec);

/// <summary>A provider of models, <c>[llm.NAME]</c>. Its key is not handed out: read the variable it comes from.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type"><c>http</c>, <c>local</c> (Loom's own API) or <c>mock</c>.</param>
/// <param name="BaseUrl">Base address of an OpenAI-compatible API; null where the type needs none.</param>
/// <param name="Model">Model asked for when a request names none; null = none.</param>
/// <param name="ApiKeyEnv">Variable that holds the key; null = none is named.</param>
/// <param name="HasApiKey">Whether a key is configured.</param>
public sealed record LLMProviderConfig(string Name, string Type, string? BaseUrl, string? Model, string? ApiKeyEnv, bool HasApiKey)
{
    /// <summary>The same as <see cref="BaseUrl"/>: one setting with two names.</summary>
    public string? ApiBase => BaseUrl;

    /// <summary>Default length of an answer, tokens.</summary>
    public int MaxTokens { get; init; } = 2048;

    /// <summary>Default temperature.</summary>
    public double Temperature { get; init; } = 0.7;

    /// <summary>Longest request, seconds.</summary>
    public double TimeoutSec { get; init; } = 30;
}

/// <summary>An MCP server, <c>[mcp.NAME]</c>. Values of its environment are not handed out.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Command">Program of a stdio server; null for one that is reached by <paramref name="Url"/>.</param>
/// <param name="Args">Arguments of the program.</param>
/// <param name="Env">Names of the variables added to its environment.</param>
/// <param name="Url">Address of a streamable HTTP server; null for a stdio server.</param>
/// <param name="Enabled">Whether it is started.</param>
public sealed record MCPServerConfig(string Name, string? Command, IReadOnlyList<string> Args, IReadOnlyList<string> Env, string? Url, bool Enabled);

/// <summary>The dashboard, <c>[dashboard]</c>.</summary>
/// <param name="Enabled">Whether it is served. Default true.</param>
/// <param name="Host">Host it binds. Default <c>127.0.0.1</c>.</param>
/// <param name="Port">Its port; 0 = any free one. Default 3030.</param>
public sealed record DashboardConfig(bool Enabled, string Host, int Port);

/// <summary>An agent with a table of its own, <c>[agents.NAME]</c>.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Enabled">Whether it is started.</param>
/// <param name="Script">Absolute path of its script; null for a command, or where the script is found by the name.</param>
/// <param name="Command">Its argument vector; empty for a script.</param>
/// <param name="Topics">Topics it is told to subscribe to.</param>
/// <param name="Llm">Its provider; null = the first one of the file.</param>
public sealed record AgentConfig(string Name, bool Enabled, string? Script, IReadOnlyList<string> Command, IReadOnlyList<string> Topics, string? Llm);

/// <summary>
/// The configuration of a project as it is in force: <c>loom.toml</c>, env files, environment and defaults, judged by <c>loom</c> itself.
/// Secrets are not in it.
/// </summary>
public sealed record ProjectConfig
{
    /// <summary>Absolute project folder.</summary>
    public required string ProjectDir { get; init; }

    /// <summary>Name of the project; the folder's where none is given.</summary>
    public required string Name { get; init; }

    /// <summary>Version of the user's project.</summary>
    public required string Version { get; init; }

    /// <summary>The bridge.</summary>
    public required BridgeConfig Bridge { get; init; }

    /// <summary>The dashboard.</summary>
    public required DashboardConfig Dashboard { get; init; }

    /// <summary>Providers of models by name.</summary>
    public required IReadOnlyDictionary<string, LLMProviderConfig> Llm { get; init; }

    /// <summary>The same as <see cref="Llm"/>.</summary>
    public IReadOnlyDictionary<string, LLMProviderConfig> LlmProviders => Llm;

    /// <summary>MCP servers by name.</summary>
    public required IReadOnlyDictionary<string, MCPServerConfig> McpServers { get; init; }

    /// <summary>Agents with a table of their own, by name; those that are merely found in <c>agents/</c> are not among them.</summary>
    public required IReadOnlyDictionary<string, AgentConfig> Agents { get; init; }

    /// <summary>Loads a project's configuration and waits for it. It is read by a short-lived <c>loom</c>, which takes about 0.2 s.</summary>
    /// <param name="path">The project's folder or its <c>loom.toml</c>; null = looked for from the current folder upwards. A folder without a file has defaults.</param>
    /// <param name="launch">Which <c>loom</c> reads it; null = the one that is found.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <exception cref="ConfigException">It is wrong; all faults are in it.</exception>
    /// <exception cref="LoomException">There is no such folder, or no <c>loom</c>.</exception>
    public static ProjectConfig Load(string? path = null, LoomLaunch? launch = null, CancellationToken cancellationToken = default) =>
        LoadAsync(path, launch, cancellationToken).GetAwaiter().GetResult();

    /// <summary>Loads a project's configuration; see <see cref="Load"/>.</summary>
    /// <param name="path">The project's folder or its <c>loom.toml</c>; null = looked for from the current folder upwards.</param>
    /// <param name="launch">Which <c>loom</c> reads it; null = the one that is found.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <exception cref="ConfigException">It is wrong; all faults are in it.</exception>
    /// <exception cref="LoomException">There is no such folder, or no <c>loom</c>.</exception>
    public static async Task<ProjectConfig> LoadAsync(string? path = null, LoomLaunch? launch = null, CancellationToken cancellationToken = default)
    {
        launch ??= new LoomLaunch();
        string[] where = path is null ? [] : ["-C", File.Exists(path) ? Path.GetDirectoryName(Path.GetFullPath(path))! : Path.GetFullPath(path)];
        var (exit, output, errors) = await LoomProgram.RunAsync(launch, ["config", "show", "--json", .. where], cancellationToken).ConfigureAwait(false);
        if (exit == 0)
        {
            using var document = JsonDocument.Parse(output);
            return Read(document.RootElement);
        }

        var (_, check, said) = await LoomProgram.RunAsync(launch, ["config", "check", "--json", .. where], cancellationToken).ConfigureAwait(false);
        throw Whole(check) is { } answer && answer.TryGetProperty("errors", out var faults) && faults.GetArrayLength() > 0
            ? LoomAnswers.Faults(answer)
            : LoomAnswers.Failure(exit, (said.Length > 0 ? said : errors).Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    internal static ProjectConfig Read(JsonElement document)
    {
        var values = new ShownValues(document.GetProperty("settings"));
        var folder = document.GetProperty("project").GetString()!;
        return new ProjectConfig
        {
            ProjectDir = folder,
            Name = values.Text("name") ?? Path.GetFileName(folder),
            Version = values.Text("version") ?? "0.1.0",
            Bridge = new BridgeConfig(values.Text("bridge.address") ?? "127.0.0.1:50051", values.Number("bridge.timeout_sec", 30)),
            Dashboard = new DashboardConfig(values.Flag("dashboard.enabled", true), values.Text("dashboard.host") ?? "127.0.0.1", (int)values.Number("dashboard.port", 3030)),
            Llm = values.Tables("llm", (name, at) => new LLMProviderConfig(
                name, values.Text(at + "type") ?? "http", values.Text(at + "base_url"), values.Text(at + "model"), values.Text(at + "api_key_env"), values.Text(at + "api_key") is not null)
            {
                MaxTokens = (int)values.Number(at + "max_tokens", 2048),
                Temperature = values.Number(at + "temperature", 0.7),
                TimeoutSec = values.Number(at + "timeout_sec", 30),
            }),
            McpServers = values.Tables("mcp", (name, at) => new MCPServerConfig(
                name, values.Text(at + "command"), values.List(at + "args"), values.NamesBelow(at + "env."), values.Text(at + "url"), values.Flag(at + "enabled", true))),
            Agents = values.Tables("agents", (name, at) => new AgentConfig(
                name, values.Flag(at + "enabled", true), values.Text(at + "script"), values.List(at + "command"), values.List(at + "topics"), values.Text(at + "llm"))),
        };
    }

    private static JsonElement? Whole(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(Encoding.UTF8.GetBytes(text));
            return document.RootElement.Clone();
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The settings of <c>config show --json</c> by key.</summary>
    private sealed class ShownValues(JsonElement settings)
    {
        private readonly Dictionary<string, JsonElement> _byKey = settings.EnumerateArray()
            .DistinctBy(s => s.GetProperty("key").GetString()!, StringComparer.Ordinal)
            .ToDictionary(s => s.GetProperty("key").GetString()!, s => s.GetProperty("value"), StringComparer.Ordinal);

        public string? Text(string key) => Of(key) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

        public bool Flag(string key, bool otherwise) => Of(key) switch
        {
            { ValueKind: JsonValueKind.True } => true,
            { ValueKind: JsonValueKind.False } => false,
            _ => otherwise,
        };

        public double Number(string key, double otherwise) => Of(key) is { ValueKind: JsonValueKind.Number } value ? value.GetDouble() : otherwise;

        public IReadOnlyList<string> List(string key) => Of(key) switch
        {
            { ValueKind: JsonValueKind.Array } items => [.. items.EnumerateArray().Select(i => i.ToString())],
            { ValueKind: JsonValueKind.String } one => [one.GetString()!],
            _ => [],
        };

        /// <summary>What stands after a prefix, up to the next dot: names of tables or of free entries.</summary>
        public IReadOnlyList<string> NamesBelow(string prefix) =>
        [
            .. _byKey.Keys.Where(k => k.StartsWith(prefix, StringComparison.Ordinal)).Select(k => k[prefix.Length..].Split('.')[0].Trim('"')).Where(n => n is not "*").Distinct(StringComparer.Ordinal),
        ];

        public IReadOnlyDictionary<string, T> Tables<T>(string table, Func<string, string, T> read) =>
            NamesBelow(table + ".").ToImmutableDictionary(name => name, name => read(name, $"{table}.{name}."), StringComparer.Ordinal);

        private JsonElement? Of(string key) => _byKey.TryGetValue(key, out var value) ? value : null;
    }
}
