using Loom.Harness.Architecture;
using Loom.Harness.Checkpoints.Adapters;

namespace Loom.Harness.Checkpoints;

/// <summary>What the settings say of state, where a system does not say it itself.</summary>
internal sealed record StateSettings
{
    /// <summary><c>state.adapter</c>; null = unset.</summary>
    public string? Adapter { get; init; }

    /// <summary><c>state.redis_url</c>; null = unset.</summary>
    public string? RedisUrl { get; init; }

    /// <summary><c>state.required</c>.</summary>
    public bool Required { get; init; }

    /// <summary><c>state.keep</c>.</summary>
    public int Keep { get; init; } = 10;

    /// <summary><c>state.ttl</c>.</summary>
    public TimeSpan? TimeToLive { get; init; }
}

/// <summary>One adapter, named or chosen.</summary>
/// <param name="Adapter">Its name.</param>
/// <param name="Redis">Where, for <c>redis_snapshot</c>.</param>
internal sealed record AdapterChoice(string Adapter, RedisUrl? Redis);

/// <summary>Where a system keeps its state, decided from everything that speaks of it. Pure.</summary>
internal sealed record StateChoice
{
    /// <summary>Of manifests, and of every component that names none.</summary>
    public required AdapterChoice System { get; init; }

    /// <summary>Of components that named another one.</summary>
    public required IReadOnlyDictionary<string, AdapterChoice> Components { get; init; }

    /// <summary>Refuse to start where state cannot be kept or resumed.</summary>
    public required bool Required { get; init; }

    public required CheckpointOptions Options { get; init; }

    /// <summary>One line to say when nobody chose; null where somebody did.</summary>
    public string? Announcement { get; init; }

    /// <summary>
    /// A component's own word, then the system's, then the settings. Unset everywhere: <c>redis_snapshot</c> when anyone has set a Redis URL, else
    /// <c>sqlite_snapshot</c>. Named: exactly that.
    /// </summary>
    /// <exception cref="FormatException">A Redis URL or a name of an adapter is wrong.</exception>
    public static StateChoice Of(StatePlan system, IReadOnlyDictionary<string, StatePlan> components, StateSettings settings)
    {
        var url = system.RedisUrl ?? settings.RedisUrl;
        var named = system.Adapter ?? settings.Adapter;
        var anyone = url ?? components.Values.Select(c => c.RedisUrl).FirstOrDefault(u => u is not null);
        var main = Named(named ?? (anyone is null ? SqliteState.AdapterName : RedisState.AdapterName), url ?? (named is null ? anyone : null));
        var own = new Dictionary<string, AdapterChoice>(StringComparer.Ordinal);
        foreach (var (name, plan) in components.Where(c => c.Value.Adapter is not null || c.Value.RedisUrl is not null))
        {
            var choice = Named(plan.Adapter ?? (plan.RedisUrl is null ? main.Adapter : RedisState.AdapterName), plan.RedisUrl ?? url);
            if (choice != main)
            {
                own[name] = choice;
            }
        }

        return new StateChoice
        {
            System = main,
            Components = own,
            Required = system.Required ?? settings.Required,
            Options = new CheckpointOptions { Keep = system.Keep ?? settings.Keep, TimeToLive = system.TimeToLive ?? settings.TimeToLive },
            Announcement = named is not null ? null : main.Redis is { } redis
                ? $"state is kept in Redis {redis.Shown}, because a Redis URL is set; state.adapter names another place"
                : "state is kept in .loom/harness, in an SQLite file, because no Redis URL is set; state.adapter names another place",
        };
    }

    /// <summary>The choice for a plan under the settings of this program.</summary>
    /// <exception cref="FormatException">A Redis URL or a name of an adapter is wrong.</exception>
    public static StateChoice Of(SystemPlan plan, HarnessOptions options) => Of(
        plan.State,
        plan.Components.ToDictionary(c => c.Name, c => c.State, StringComparer.Ordinal),
        new StateSettings
        {
            Adapter = options.StateAdapter,
            RedisUrl = options.RedisUrl?.Reveal(),
            Required = options.StateRequired,
            Keep = options.StateKeep,
            TimeToLive = options.StateTtl,
        });

    private static AdapterChoice Named(string adapter, string? url) => adapter switch
    {
        RedisState.AdapterName => new AdapterChoice(adapter, RedisUrl.Parse(url ?? RedisUrl.Default)),
        SqliteState.AdapterName or InMemoryState.AdapterName => new AdapterChoice(adapter, null),
        _ => throw new FormatException(
            $"there is no state adapter '{adapter}'; there are: {RedisState.AdapterName}, {SqliteState.AdapterName}, {InMemoryState.AdapterName}"),
    };
}
