using System.Collections.Immutable;
using Loom.Core.Paths;
using Loom.Core.Settings;
using Loom.Node.Plans;
using Loom.Node.Settings;

namespace Loom.Node;

/// <summary>What a node is told that stands in no setting.</summary>
/// <param name="LoomProgram">Path of the running <c>loom</c>.</param>
/// <param name="LogsDir">Absolute folder of captured output.</param>
/// <param name="EmbeddedSources">Folder of the embedded adapter; null = not shipped.</param>
/// <param name="Environment">Variables engines inherit: process environment and env files, merged.</param>
public sealed record NodeSurroundings(string LoomProgram, string LogsDir, string? EmbeddedSources, ImmutableDictionary<string, string> Environment);

/// <summary>Reads the options of a node out of the settings.</summary>
internal static class NodeOptionsReader
{
    private const int ProviderSlots = 16;

    public static NodeOptions Read(SettingsSnapshot settings, NodeSurroundings surroundings)
    {
        var providers = Providers(settings, surroundings.Environment);
        var ports = settings.Get(NodeSettings.EnginePorts);
        var mock = settings.Get(NodeSettings.MockMode);
        return new NodeOptions
        {
            NodeId = settings.Get(NodeSettings.NodeId),
            WorkingDirectory = settings.ProjectFolder,
            LogsDir = surroundings.LogsDir,
            CacheDir = settings.Get(NodeSettings.CacheDir),
            ModelsDir = settings.Get(NodeSettings.ModelsDir),
            Folders = DataFolders.From(settings),
            Environment = surroundings.Environment,
            Secrets = SecretValues.From(settings),
            LoomProgram = surroundings.LoomProgram,
            EmbeddedSources = surroundings.EmbeddedSources,
            EnginePorts = (ports.First, ports.Last),
            Offline = settings.Get(NodeSettings.Offline),
            Grace = settings.Get(SharedSettings.GraceEngines),
            DrainDeadline = TimeSpan.FromMilliseconds(settings.Get(SharedSettings.DrainDeadline)),
            MockMode = mock,
            Handoff = Handoff(settings),
            Gpus = Gpus(settings, mock),
            Models = settings.Names("models").ToImmutableDictionary(id => id, id => Model(settings, id), StringComparer.Ordinal),
            Providers = providers,
            Pools = [.. Pools(settings, providers).Select(p => mock ? Mocked(p) : p)],
        };
    }

    // In HOME one watcher serves both parts: the shorter pause wins.
    private static HandoffOptions Handoff(SettingsSnapshot settings)
    {
        var (agent, control) = (settings.Get(HandoffSettings.Interval), settings.Get(HandoffSettings.ControlInterval));
        var (folder, controlFolder) = (settings.Get(HandoffSettings.Folder), settings.Get(HandoffSettings.ControlFolder));
        return new HandoffOptions
        {
            // The loader made them one; where this is a node alone, the control plane's folder is that of another machine.
            Folder = settings.SourceOf(HandoffSettings.Folder).IsGiven ? folder : settings.Profile == SettingsProfile.Home ? controlFolder : folder,
            WriteFolder = settings.Get(HandoffSettings.ProvisionerFolder),
            Interval = TimeSpan.FromMilliseconds(settings.Profile == SettingsProfile.Home ? Math.Min(agent, control) : agent),
            AutoDelete = settings.Get(HandoffSettings.AutoDelete),
        };
    }

    private static GpuOptions Gpus(SettingsSnapshot settings, bool mock)
    {
        var source = settings.Get(HandoffSettings.GpuSource);
        var asked = mock || source == GpuSourceChoice.Mock || settings.SourceOf(HandoffSettings.MockGpuCount).IsGiven;
        return new GpuOptions
        {
            Interval = TimeSpan.FromMilliseconds(settings.Get(HandoffSettings.GpuInterval)),
            Source = mock ? GpuSourceChoice.Mock : source,
            MockCount = asked ? (int)settings.Get(HandoffSettings.MockGpuCount) : 0,
            Mask = settings.Get(NodeSettings.GpuMask),
            MaskIsGiven = settings.SourceOf(NodeSettings.GpuMask).IsGiven,
        };
    }

    private static List<PoolPlan> Pools(SettingsSnapshot settings, ImmutableDictionary<string, ProviderPlan> providers)
    {
        List<PoolPlan> pools = [.. settings.Get(NodeSettings.Pools).Distinct(StringComparer.Ordinal).Select(id => Pool(settings, id, providers))];

        // A name the written pools use already stays theirs: providers come last when a model is looked up.
        var taken = pools.SelectMany(p => p.Aliases.Concat(p.ModelIds)).Append("default").ToHashSet(StringComparer.Ordinal);
        foreach (var name in settings.Names("llm").Where(providers.ContainsKey))
        {
            var model = providers[name].Model;
            pools.Add(new PoolPlan
            {
                Id = $"llm-{name}",
                Engine = new EnginePlan { Name = $"llm-{name}", Kind = EngineKinds.OpenAI, Provider = name },
                Models = [model ?? name],
                Aliases = model is null ? [] : [.. new[] { name, $"{name}/{model}" }.Where(a => a != model && taken.Add(a))],
                Slots = ProviderSlots,
            });
        }

        return pools;
    }

    private static PoolPlan Pool(SettingsSnapshot settings, string id, ImmutableDictionary<string, ProviderPlan> providers)
    {
        var engine = Engine(settings, settings.Get(PoolSettings.Engine, id));
        var remote = engine.Kind == EngineKinds.OpenAI;
        return new PoolPlan
        {
            Id = id,
            Engine = engine,
            Models = remote && IsDefault(settings, PoolSettings.Models, id)
                ? [providers[engine.Provider!].Model ?? engine.Provider!] : settings.Get(PoolSettings.Models, id),
            Aliases = settings.Get(PoolSettings.Aliases, id),
            Replicas = (int)settings.Get(PoolSettings.Replicas, id),
            Slots = remote && IsDefault(settings, PoolSettings.Slots, id) ? ProviderSlots : (int)settings.Get(PoolSettings.Slots, id),
            Ctx = (int?)settings.GetOrNull(PoolSettings.Ctx, id),
            GpuLayers = (int?)settings.GetOrNull(PoolSettings.GpuLayers, id),
            Deterministic = settings.Get(PoolSettings.Deterministic, id),
            DeviceMask = settings.Get(PoolSettings.DeviceMask, id),
            DeviceMaskIsGiven = settings.SourceOf(PoolSettings.DeviceMask, id).IsGiven,
            Preload = settings.Get(PoolSettings.Preload, id),
            SwapSet = IsDefault(settings, PoolSettings.Swap, id) ? null : settings.Get(PoolSettings.Swap, id),
            IdleTtl = TimeSpan.FromSeconds(settings.Get(PoolSettings.IdleTtl, id)),
            MinResidency = TimeSpan.FromSeconds(settings.Get(PoolSettings.MinResidency, id)),
        };
    }

    private static EnginePlan Engine(SettingsSnapshot settings, string name)
    {
        if (!settings.Names("serving.engines").Contains(name, StringComparer.Ordinal))
        {
            return EnginePlan.Embedded; // R11 has seen to it that no other name comes here
        }

        return new EnginePlan
        {
            Name = name,
            Kind = PoolSettings.NameOf(settings.Get(PoolSettings.Kind, name)),
            Binary = settings.GetOrNull(PoolSettings.Binary, name),
            Version = settings.GetOrNull(PoolSettings.Version, name),
            Url = settings.GetOrNull(PoolSettings.Url, name),
            Sha256 = settings.GetOrNull(PoolSettings.EngineSha256, name),
            Command = settings.Get(PoolSettings.Command, name),
            Args = settings.Get(PoolSettings.Args, name),
            Env = settings.Names("serving.engines.*.env", name).ToImmutableDictionary(v => v, v => settings.Get(PoolSettings.Env, name, v).Reveal(),
                StringComparer.Ordinal),
            Threads = (int)settings.Get(PoolSettings.Threads, name),
            Numa = settings.Get(PoolSettings.Numa, name),
            Provider = settings.GetOrNull(PoolSettings.Provider, name),
            HealthPath = settings.Get(PoolSettings.HealthPath, name),
            ReadyTimeout = settings.GetOrNull(PoolSettings.ReadyTimeout, name) is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
            StreamUsage = settings.Get(PoolSettings.StreamUsage, name),
        };
    }

    private static ModelPlan Model(SettingsSnapshot settings, string id) => new(id, settings.Get(PoolSettings.Source, id))
    {
        Sha256 = settings.GetOrNull(PoolSettings.ModelSha256, id)?.ToLowerInvariant(),
        Ctx = (int?)settings.GetOrNull(PoolSettings.ModelCtx, id),
    };

    private static ImmutableDictionary<string, ProviderPlan> Providers(SettingsSnapshot settings, ImmutableDictionary<string, string> environment)
    {
        var providers = ImmutableDictionary.CreateBuilder<string, ProviderPlan>(StringComparer.Ordinal);
        foreach (var name in settings.Names("llm"))
        {
            if (settings.Get(ProviderSettings.Type, name) != ProviderType.Http || settings.GetOrNull(ProviderSettings.BaseUrl, name) is not { } url)
            {
                continue;
            }

            var key = settings.GetOrNull(ProviderSettings.ApiKey, name)?.Reveal()
                ?? (settings.GetOrNull(ProviderSettings.ApiKeyEnv, name) is { } variable ? environment.GetValueOrDefault(variable) : null);
            var headers = settings.Names("llm.*.headers", name).ToImmutableDictionary(h => h, h => settings.Get(ProviderSettings.Headers, name, h).Reveal(),
                StringComparer.OrdinalIgnoreCase);
            providers[name] = new ProviderPlan(name, url) { Model = settings.GetOrNull(ProviderSettings.Model, name),
                Credentials = new UpstreamCredentials(key, headers) };
        }

        return providers.ToImmutable();
    }

    private static PoolPlan Mocked(PoolPlan pool) => pool with { Engine = new EnginePlan { Name = pool.Engine.Name, Kind = EngineKinds.Mock } };

    private static bool IsDefault(SettingsSnapshot settings, Setting setting, string pool) => settings.SourceOf(setting, pool).Layer == SettingLayer.Default;
}
