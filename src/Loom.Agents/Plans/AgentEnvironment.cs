using System.Buffers;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Loom.Agents.Binaries;
using Loom.Agents.Discovery;
using Loom.Agents.Settings;
using Loom.Core.Paths;
using Loom.Core.Settings;

namespace Loom.Agents.Plans;

/// <summary>
/// The environment of an agent: what it inherits over <c>.env</c>; its own env files; the folders of the data root; what Loom tells it; what the user wrote
/// for it; what tells Loom who it is. Pure, but for the env files it reads.
/// </summary>
/// <param name="settings">The configuration.</param>
/// <param name="files">The disk.</param>
/// <param name="report">Told what is wrong.</param>
internal sealed class AgentEnvironment(SettingsSnapshot settings, ISettingsFiles files, Action<Finding> report)
{
    private const string BridgeAddress = "LOOM_BRIDGE_ADDR";
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // What opens Loom itself, tells of another run, or is between Loom and its service manager: an agent gets it only when its own `env` names it.
    private static readonly string[] s_withheld =
        ["LLORCH_API_TOKEN", "LOOM_BRIDGE_TOKEN", "LOOM_RUN_ID", "LOOM_PROC_ID", BridgeAddress, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

    private ImmutableDictionary<string, string>? _everything;

    /// <summary>Everything that is the same for all replicas, and known before anything is bound: enough to look for an interpreter.</summary>
    /// <param name="agent">Its name.</param>
    /// <param name="late">Values of references known by now.</param>
    public ImmutableDictionary<string, string>.Builder Own(string agent, Func<string, string?> late)
    {
        var environment = Inherited(agent).ToBuilder();
        var envFiles = settings.Get(AgentSettings.Child.EnvFile, agent);
        foreach (var path in envFiles)
        {
            foreach (var (name, value) in EnvFile(agent, path))
            {
                environment[name] = value;
            }
        }

        if (!envFiles.IsEmpty)
        {
            Steer(environment);
        }

        foreach (var name in settings.Names("agents.*.env", agent))
        {
            environment[name] = LateReference.Fill(settings.Get(AgentSettings.Env, agent, name).Reveal(), late);
        }

        return environment;
    }

    /// <summary>The whole environment of one replica.</summary>
    /// <param name="agent">Its name.</param>
    /// <param name="process">Its id.</param>
    /// <param name="replica">Which copy it is.</param>
    /// <param name="ports">Its ports by name.</param>
    /// <param name="surroundings">Addresses.</param>
    /// <param name="late">Values of references.</param>
    public ImmutableDictionary<string, string> Build(
        string agent, string process, int replica, IReadOnlyDictionary<string, int> ports, PlanSurroundings surroundings, Func<string, string?> late)
    {
        var environment = Own(agent, late);
        var own = settings.Names("agents.*.env", agent);
        if ((surroundings.BridgeAddress ?? Elsewhere(settings.Get(BridgeSettings.Address))) is { } bridge)
        {
            Tell(BridgeAddress, bridge);
        }

        if (BinaryOptions.LinksOf(settings) is { } programs)
        {
            environment["PATH"] = programs + ":" + environment.GetValueOrDefault("PATH", "/usr/local/bin:/usr/bin:/bin");
        }

        Provider(agent, surroundings, Tell);
        Unless("OTEL_TRACES_SAMPLER", "always_on");
        Unless("OTEL_TRACE_SAMPLER", "always_on");
        Unless("OTEL_SERVICE_NAME", $"agent-{agent}");
        Unless("PYTHONUNBUFFERED", "1");
        environment["LOOM_AGENT_ID"] = process;
        environment["LOOM_REPLICA"] = replica.ToString(CultureInfo.InvariantCulture);
        environment["LOOM_PROJECT_DIR"] = settings.ProjectFolder;
        environment["LOOM_AGENT_CONFIG"] = Config(agent, late);
        foreach (var (name, port) in ports)
        {
            environment[PortVariable(name)] = port.ToString(CultureInfo.InvariantCulture);
        }

        return environment.ToImmutable();

        // Facts of the surroundings; what the user wrote for this agent alone is meant.
        void Tell(string name, string? value)
        {
            if (own.Contains(name, StringComparer.Ordinal))
            {
                return;
            }

            environment.Remove(name);
            if (value is not null)
            {
                environment[name] = value;
            }
        }

        void Unless(string name, string value) => environment.TryAdd(name, value);
    }

    /// <summary>Variable that tells an agent one of its ports.</summary>
    public static string PortVariable(string name) => "LOOM_PORT_" + name.Replace('-', '_').ToUpperInvariant();

    /// <summary>Name of the provider an agent is told of; null when there is none.</summary>
    public static string? ProviderOf(SettingsSnapshot settings, string agent) =>
        settings.GetOrNull(AgentSettings.Llm, agent) ?? settings.Names("llm").Select(n => n).FirstOrDefault();

    private static string? Elsewhere(HostPort address) => BridgeSettings.IsElsewhere(address) ? address.ToString() : null;

    // Nearly all agents inherit everything, so that is put together once.
    private ImmutableDictionary<string, string> Inherited(string agent)
    {
        var inherit = settings.Get(AgentSettings.InheritEnv, agent);
        return inherit is ["true"] ? _everything ??= Prepared(settings.Environment)
            : Prepared(settings.EnvFileVariables.SetItems(inherit.Where(settings.Environment.ContainsKey).Select(n => KeyValuePair.Create(n, settings.Environment[n]))));
    }

    private ImmutableDictionary<string, string> Prepared(ImmutableDictionary<string, string> inherited)
    {
        var environment = inherited.ToBuilder();
        environment.RemoveRange(s_withheld);
        Steer(environment);
        return environment.ToImmutable();
    }

    private void Steer(ImmutableDictionary<string, string>.Builder environment) =>
        DataFolders.From(settings).Steer(environment, "agents", text => report(
            new Finding(FaultCode.Rule, "paths.data_root", text, "set the variable to a folder below it, or in the agent's env") { Severity = FaultSeverity.Warning }));

    private ImmutableDictionary<string, string> EnvFile(string agent, string path)
    {
        var shown = Path.GetRelativePath(settings.ProjectFolder, path);
        var content = EnvFileContent.Read(files, path, shown);
        if (content is null)
        {
            report(new Finding(FaultCode.File, $"agents.{KeyText.Quoted(agent)}.env_file", $"there is no env file {shown}", "create it, or take it out of the list"));
            return ImmutableDictionary<string, string>.Empty;
        }

        foreach (var fault in content.Faults.Where(f => f.Severity == FaultSeverity.Error))
        {
            report(new Finding(fault.Code, $"agents.{KeyText.Quoted(agent)}.env_file",
                string.Create(CultureInfo.InvariantCulture, $"{fault.Source!.File}:{fault.Source.Line}:{fault.Source.Column}: {fault.Message}"), fault.Fix));
        }

        return content.Variables;
    }

    // `local` exists where nothing else is configured.
    private void Provider(string agent, PlanSurroundings surroundings, Action<string, string?> tell)
    {
        var provider = ProviderOf(settings, agent);
        if (provider is null && surroundings.ApiBase is null)
        {
            return;
        }

        var known = provider is not null && settings.Names("llm").Contains(provider, StringComparer.Ordinal);
        var type = known ? settings.Get(ProviderSettings.Type, provider!) : ProviderType.Local;
        var model = known ? settings.GetOrNull(ProviderSettings.Model, provider!) : null;
        tell("LOOM_LLM_API_BASE", type switch
        {
            ProviderType.Http => settings.GetOrNull(ProviderSettings.BaseUrl, provider!)?.OriginalString,
            ProviderType.Local => (known ? settings.GetOrNull(ProviderSettings.BaseUrl, provider!)?.OriginalString : null) ?? surroundings.ApiBase,
            _ => null,
        });
        tell("LOOM_LLM_MODEL", model ?? (type == ProviderType.Local ? surroundings.LocalModel : null));
        tell("LOOM_LLM_API_KEY", known ? ProviderSettings.KeyOf(settings, provider!) : null);
    }

    private string Config(string agent, Func<string, string?> late)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, s_json))
        {
            json.WriteStartObject();
            json.WriteStartArray("topics");
            foreach (var topic in settings.Get(AgentSettings.Topics, agent))
            {
                json.WriteStringValue(LateReference.Fill(topic, late));
            }

            json.WriteEndArray();
            Llm(json, ProviderOf(settings, agent));
            Text(json, "thinking_strategy", settings.GetOrNull(AgentSettings.ThinkingStrategy, agent) is { } strategy ? LateReference.Fill(strategy, late) : null);
            if (settings.GetOrNull(AgentSettings.MaxIterations, agent) is { } most)
            {
                json.WriteNumber("max_iterations", most);
            }

            json.WriteStartObject("config");
            foreach (var name in settings.Names("agents.*.config", agent))
            {
                json.WritePropertyName(name);
                settings.Get(AgentSettings.Config, agent, name).Map(text => LateReference.Fill(text, late)).WriteTo(json);
            }

            json.WriteEndObject();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    // How a request is to be made where the agent has no opinion of its own.
    private void Llm(Utf8JsonWriter json, string? provider)
    {
        Text(json, "llm", provider);
        if (provider is null || !settings.Names("llm").Contains(provider, StringComparer.Ordinal))
        {
            return;
        }

        json.WriteStartObject("llm_options");
        json.WriteNumber("max_tokens", settings.Get(ProviderSettings.MaxTokens, provider));
        json.WriteNumber("temperature", settings.Get(ProviderSettings.Temperature, provider));
        json.WriteNumber("timeout_sec", settings.Get(ProviderSettings.Timeout, provider).TotalSeconds);
        json.WriteStartObject("extra");
        foreach (var name in settings.Names("llm.*.extra", provider))
        {
            json.WritePropertyName(name);
            settings.Get(ProviderSettings.Extra, provider, name).WriteTo(json);
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void Text(Utf8JsonWriter json, string name, string? value)
    {
        if (value is not null)
        {
            json.WriteString(name, value);
        }
    }
}
