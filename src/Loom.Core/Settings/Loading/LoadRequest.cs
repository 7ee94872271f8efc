using System.Collections.Immutable;

namespace Loom.Core.Settings;

/// <summary>Which part of Loom is about to start; rules and some defaults depend on it.</summary>
public enum LoomPart
{
    /// <summary>The whole runtime in one process.</summary>
    Up,

    /// <summary>The control plane.</summary>
    QueenRbee,

    /// <summary>The node agent.</summary>
    PoolManagerd,

    /// <summary>Prepares one engine and exits.</summary>
    EngineProvisioner,
}

/// <summary>Everything a configuration is made of. No part of the load looks elsewhere.</summary>
public sealed record LoadRequest
{
    public required SettingRegistry Registry { get; init; }

    /// <summary>Names of the part, for rules.</summary>
    public LoomPart Part { get; init; } = LoomPart.Up;

    /// <summary>Named options and <c>--set</c> items, in order; a later one for the same key wins.</summary>
    public ImmutableArray<CommandLineValue> CommandLine { get; init; } = [];

    /// <summary>The process environment.</summary>
    public required IReadOnlyDictionary<string, string> Environment { get; init; }

    /// <summary>Absolute working folder.</summary>
    public required string WorkingFolder { get; init; }

    /// <summary>Absolute home folder of the user.</summary>
    public required string HomeFolder { get; init; }

    /// <summary>Name of this machine; the node id where none is given.</summary>
    public required string HostName { get; init; }

    public required ISettingsFiles Files { get; init; }

    /// <summary>Whether a variable without a row is known all the same, such as the twin of a flag.</summary>
    public Func<string, bool> IsKnownVariable { get; init; } = static _ => false;

    /// <summary>Derived defaults, in order; see <see cref="Rules.Derivations"/>.</summary>
    public ImmutableArray<Action<Draft>> Derivations { get; init; } = Rules.Derivations.All;

    /// <summary>Cross rules; see <see cref="Rules.CrossRules"/>.</summary>
    public ImmutableArray<Action<Draft>> CrossRules { get; init; } = Rules.CrossRules.All;

    /// <summary>Whether the defaults of test mode hold where no mode is given.</summary>
    public bool TestMode { get; init; }

    internal bool TrackReads { get; init; }
}

/// <summary>One value from the command line.</summary>
/// <param name="Option">What the user wrote, for example <c>--set</c> or <c>--mode</c>.</param>
/// <param name="Key">Dotted key.</param>
/// <param name="Value">Text.</param>
public sealed record CommandLineValue(string Option, string Key, string Value);

/// <summary>The questions a load asks the disk.</summary>
public interface ISettingsFiles
{
    /// <summary>A file's content, or null when there is none.</summary>
    SettingsFile? Read(string path);

    /// <summary>Whether a file or folder exists.</summary>
    bool Exists(string path);

    /// <summary>The path with links resolved as far as it exists.</summary>
    string RealPath(string path);

    /// <summary>Whether users other than the owner can write to an existing folder.</summary>
    bool OthersCanWrite(string path);

    /// <summary>Mode of an existing path whose group or others may read it, in octal; null = they may not, or nobody can say.</summary>
    string? OpenMode(string path) => null;

    /// <summary>What lies in a folder, in any order; links count as what they point to, and not at all where they lead nowhere; null when there is no such folder.</summary>
    /// <exception cref="IOException">The folder cannot be read; the message says why.</exception>
    IReadOnlyList<FolderItem>? List(string folder);

    /// <summary>Whether the path is a file this user may execute.</summary>
    bool IsExecutable(string path);
}

/// <summary>One thing in a folder.</summary>
/// <param name="Name">Its name.</param>
/// <param name="IsFolder">Whether it is a folder.</param>
public sealed record FolderItem(string Name, bool IsFolder);

/// <summary>A file as read.</summary>
/// <param name="Content">Its bytes; at most one more than the limit of the reader.</param>
/// <param name="OthersCanRead">Whether its mode lets group or others read it.</param>
/// <param name="Error">Why it could not be read; the content is then empty.</param>
public sealed record SettingsFile(ReadOnlyMemory<byte> Content, bool OthersCanRead = false, string? Error = null);

/// <summary>Outcome of a load.</summary>
public sealed record LoadResult
{
    /// <summary>The configuration. With errors it is a best effort, for commands that report and go on: a value at fault counts as not given.</summary>
    public required SettingsSnapshot Snapshot { get; init; }

    /// <summary>All faults, sorted.</summary>
    public required ImmutableArray<Fault> Faults { get; init; }

    /// <summary>Lines to say once a start that are no faults.</summary>
    public required ImmutableArray<string> Notes { get; init; }

    /// <summary>Whether there is a <c>loom.toml</c>.</summary>
    public required bool HasProjectFile { get; init; }

    /// <summary>Every value that was given, by concrete key, the winner first.</summary>
    internal IReadOnlyDictionary<string, List<GivenValue>> Given { get; init; } = new Dictionary<string, List<GivenValue>>();

    /// <summary>Environment and env files merged by name.</summary>
    internal IReadOnlyDictionary<string, VariableValue> Variables { get; init; } = new Dictionary<string, VariableValue>();

    /// <summary>Whether a part may start.</summary>
    public bool Ok => !Faults.Any(f => f.Severity == FaultSeverity.Error);
}

/// <summary>One value that a layer gave for a key.</summary>
/// <param name="Setting">Its row.</param>
/// <param name="Parts">Concrete key.</param>
/// <param name="Raw">The value as given.</param>
/// <param name="Source">Where it was given.</param>
/// <param name="Value">The value as read; null when it is at fault.</param>
/// <param name="SecretName">Name a secret is redacted to.</param>
/// <param name="HasReference">Whether references stood in it.</param>
/// <param name="Place">Its place in the project file.</param>
/// <param name="FileOrder">Order of its file in the list of faults.</param>
internal sealed record GivenValue(
    Setting Setting, string[] Parts, RawValue Raw, SettingSource Source, object? Value, string? SecretName, bool HasReference, FilePlace? Place, int FileOrder = int.MaxValue)
{
    /// <summary>The key as the user wrote it where a shorthand stands for another one, such as <c>restart = "always"</c>; null = <see cref="Parts"/>.</summary>
    public string[]? Spelled { get; init; }

    /// <summary>Secrets that references put into it: variables by name that are never to be shown.</summary>
    public ImmutableDictionary<string, string> Referred { get; init; } = ImmutableDictionary<string, string>.Empty;
}

/// <summary>A variable and where it is set.</summary>
internal sealed record VariableValue(string Text, SettingSource Source, int FileOrder);
