using Loom.Core.Settings;

namespace Loom.Testing.Settings;

/// <summary>Loads a configuration from texts: project in /project, home in /home/user, host <c>host-1</c>.</summary>
public sealed class TestLoad(SettingRegistry registry)
{
    public TestLoad(IEnumerable<Setting> settings)
        : this(new SettingRegistry([.. settings]))
    {
    }

    public MemoryFiles Files { get; } = new();

    public Dictionary<string, string> Environment { get; } = new(StringComparer.Ordinal);

    public List<CommandLineValue> CommandLine { get; } = [];

    public LoomPart Part { get; set; } = LoomPart.Up;

    public string WorkingFolder { get; set; } = "/project";

    /// <summary>Sets the text of <c>/project/loom.toml</c>.</summary>
    public TestLoad Toml(string text)
    {
        Files.Add("/project/loom.toml", text);
        return this;
    }

    /// <summary>Sets the text of <c>/project/.env</c>.</summary>
    public TestLoad EnvFile(string text)
    {
        Files.Add("/project/.env", text);
        return this;
    }

    /// <summary>Sets a variable of the environment.</summary>
    public TestLoad Variable(string name, string value)
    {
        Environment[name] = value;
        return this;
    }

    /// <summary>Adds <c>--set KEY=VALUE</c>.</summary>
    public TestLoad Set(string key, string value)
    {
        CommandLine.Add(new CommandLineValue("--set", key, value));
        return this;
    }

    public TestLoad For(LoomPart part)
    {
        Part = part;
        return this;
    }

    public LoadRequest Request() => new()
    {
        Registry = registry,
        Part = Part,
        CommandLine = [.. CommandLine],
        Environment = Environment,
        WorkingFolder = WorkingFolder,
        HomeFolder = "/home/user",
        HostName = "host-1",
        Files = Files,
        TrackReads = true,
    };

    public LoadResult Load() => SettingsLoader.Load(Request());
}
