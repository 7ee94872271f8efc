using System.Collections.Immutable;
using System.CommandLine;
using Loom.Cli.Binaries;
using Loom.Core.Settings;

namespace Loom.Cli.Verbs;

/// <summary>Flags of the verbs that run a project.</summary>
internal static class RunFlags
{
    public static Option<string?> Mode { get; } = new("--mode") { Description = "full: everything; bridge-only: the agents alone, no API and no engines (runtime.mode)", HelpName = "full|bridge-only" };

    public static Option<string?> Logs { get; } = new("--logs") { Description = "Folder of captured output (runtime.logs_dir)", HelpName = "DIR" };

    public static Option<bool> Dev { get; } = new("--dev") { Description = "For development: engines started by hand may register (POST /v2/workers/register)" };

    /// <summary>What was given, as settings of the command line.</summary>
    public static ImmutableArray<CommandLineValue> Values(ParseResult parse)
    {
        var values = BinaryFlags.Values(parse).ToBuilder();
        Add(Mode, "runtime.mode");
        Add(Logs, "runtime.logs_dir");
        return values.ToImmutable();

        void Add(Option<string?> option, string key)
        {
            if (parse.GetResult(option) is not null && parse.GetValue(option) is { } value)
            {
                values.Add(new CommandLineValue(option.Name, key, value));
            }
        }
    }
}
