using System.Collections.Immutable;
using Loom.Agents.Settings;
using Loom.Core.Settings;

namespace Loom.Agents.Discovery;

/// <summary>Which agents are meant.</summary>
public enum RosterKind
{
    /// <summary>Those of <c>loom.toml</c> and of <c>agents/</c>.</summary>
    Project,

    /// <summary>The same, and the project's own program as main.</summary>
    ProjectWithMain,

    /// <summary>One script alone, as main.</summary>
    Script,
}

/// <summary>An agent of the project, by whatever it was told.</summary>
/// <param name="Name">Its id.</param>
internal sealed record RosterAgent(string Name)
{
    /// <summary>Whether <c>loom.toml</c> has a table for it.</summary>
    public bool IsDeclared { get; init; }

    public bool Enabled { get; init; } = true;

    /// <summary>Absolute script; null for a command.</summary>
    public string? Script { get; init; }

    /// <summary>Its end ends the run.</summary>
    public bool IsMain { get; init; }
}

/// <summary>Brings the tables of <c>loom.toml</c> and the scripts found together: a table that names a script, or bears its stem, refines it.</summary>
/// <param name="settings">The configuration.</param>
/// <param name="files">The disk.</param>
/// <param name="report">Told what is wrong.</param>
internal sealed class Roster(SettingsSnapshot settings, ISettingsFiles files, Action<Finding> report)
{
    private readonly ScriptSearch _search = new(settings.ProjectFolder, files, report);

    /// <summary>The agents: those of <c>loom.toml</c> in its order, then those found, by name, then the main one.</summary>
    /// <param name="kind">Which are meant.</param>
    /// <param name="scripts">Absolute scripts that replace discovery; for <see cref="RosterKind.Script"/> the one.</param>
    public ImmutableArray<RosterAgent> Read(RosterKind kind, ImmutableArray<string> scripts)
    {
        if (kind == RosterKind.Script)
        {
            return [Single(scripts[0])];
        }

        List<FoundScript> found = !scripts.IsEmpty ? [.. scripts.Select(s => new FoundScript(AgentName.From(Stem(s)), s))]
            : settings.Get(RuntimeSettings.Discover) ? [.. _search.Agents()]
            : [];
        var agents = ImmutableArray.CreateBuilder<RosterAgent>();
        foreach (var name in settings.Names("agents"))
        {
            agents.Add(Declared(name, found));
        }

        foreach (var group in found.GroupBy(f => f.Name, StringComparer.Ordinal))
        {
            agents.Add(Found([.. group]));
        }

        if (kind == RosterKind.ProjectWithMain && _search.Main() is { } main)
        {
            AddMain(agents, main);
        }

        return agents.ToImmutable();
    }

    private RosterAgent Declared(string name, List<FoundScript> found)
    {
        var agent = new RosterAgent(name) { IsDeclared = true, Enabled = settings.Get(AgentSettings.Enabled, name) };
        var key = Key(name);
        CheckName(name, key, null);
        var hasCommand = !settings.Get(AgentSettings.Command, name).IsEmpty;
        if (settings.GetOrNull(AgentSettings.Script, name) is { } script)
        {
            if (hasCommand)
            {
                report(Finding.Of("R10", $"{key}.script", "command and script are both given", "keep one of them"));
            }

            return agent with { Script = Named(agent, script, found) };
        }

        var own = found.Where(f => f.Name == name).ToList();
        found.RemoveAll(f => f.Name == name);
        if (hasCommand)
        {
            return agent;
        }

        if (own.Count == 0 && agent.Enabled)
        {
            report(Finding.Of("R10", key, $"nothing to run: no script and no command, and there is no agents/{name}.py or the like", "script = \"agents/...\", or command = [..]") with
            {
                Premises = [$"{key}.command", $"{key}.script"],
            });
        }

        return own.Count == 0 ? agent : Found(own) with { IsDeclared = true, Enabled = agent.Enabled };
    }

    // The table's script, which takes the place of the same one found; another one of the table's name is one too many.
    private string? Named(RosterAgent agent, string script, List<FoundScript> found)
    {
        var key = $"{Key(agent.Name)}.script";
        var real = files.RealPath(script);
        found.RemoveAll(f => files.RealPath(f.Path) == real);
        foreach (var other in found.Where(f => f.Name == agent.Name).ToList())
        {
            report(Finding.Of("R11", key, $"{Shown(script)} and {Shown(other.Path)} are both the agent '{agent.Name}'", "rename one of them, or give the table another name"));
            found.Remove(other);
        }

        if (!agent.Enabled || LateReference.IsIn(script))
        {
            return script;
        }

        if (!files.Exists(script))
        {
            report(new Finding(FaultCode.File, key, $"there is no file {Shown(script)}", "create it, or name another script"));
        }
        else if (IsFolder(script))
        {
            report(new Finding(FaultCode.File, key, $"{Shown(script)} is a folder", "name the script in it"));
            return null;
        }

        return script;
    }

    private RosterAgent Found(List<FoundScript> scripts)
    {
        var first = scripts[0];
        var key = Key(first.Name);
        CheckName(first.Name, key, first.Path);
        if (scripts.Count > 1)
        {
            report(Finding.Of("R11", key, $"{Shown(scripts[0].Path)} and {Shown(scripts[1].Path)} are both the agent '{first.Name}'", "rename one of them") with
            {
                File = Shown(scripts[1].Path),
            });
        }

        return new RosterAgent(first.Name) { Script = first.Path };
    }

    private RosterAgent Single(string script)
    {
        if (!files.Exists(script))
        {
            report(new Finding(FaultCode.File, "agents", $"there is no file {Shown(script)}", "name a script") { File = Shown(script) });
        }

        var real = files.RealPath(script);
        var declared = settings.Names("agents");
        var name = declared.FirstOrDefault(n => settings.GetOrNull(AgentSettings.Script, n) is { } own && files.RealPath(own) == real)
            ?? declared.FirstOrDefault(n => n == Stem(script));
        return new RosterAgent(name ?? AgentName.From(Stem(script))) { IsDeclared = name is not null, Script = script, IsMain = true };
    }

    private void AddMain(ImmutableArray<RosterAgent>.Builder agents, FoundScript main)
    {
        var real = files.RealPath(main.Path);
        for (var i = 0; i < agents.Count; i++)
        {
            if (agents[i].Script is { } script && files.RealPath(script) == real)
            {
                agents[i] = agents[i] with { IsMain = true };
                return;
            }
        }

        if (agents.FirstOrDefault(a => a.Name == main.Name) is { } other)
        {
            report(Finding.Of("R11", Key(main.Name), $"{Shown(main.Path)} and {(other.Script is { } script ? Shown(script) : "a command")} are both the agent '{main.Name}'", "rename one of them") with
            {
                File = Shown(main.Path),
            });
            return;
        }

        agents.Add(new RosterAgent(main.Name) { Script = main.Path, IsMain = true });
    }

    private void CheckName(string name, string key, string? path)
    {
        var message = !AgentName.IsValid(name) ? $"'{Redaction.Plain(name)}' cannot be the name of an agent: {AgentName.Grammar}"
            : AgentName.IsReserved(name) ? $"'{name}' is the name of a part of Loom"
            : null;
        if (message is not null)
        {
            var other = AgentName.From(name);
            report(new Finding(FaultCode.Type, key, message, path is null ? $"[agents.{other}]" : $"rename the file, or add [agents.{other}] with script = \"{Shown(path)}\"")
            {
                File = path is null ? null : Shown(path),
            });
        }
    }

    private bool IsFolder(string path)
    {
        try
        {
            return files.List(path) is not null;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private string Shown(string path) => Path.GetRelativePath(settings.ProjectFolder, path) is var relative && relative.StartsWith("..", StringComparison.Ordinal) ? path : relative;

    private static string Stem(string path) => Path.GetFileNameWithoutExtension(path);

    private static string Key(string name) => $"agents.{KeyText.Quoted(name)}";
}
