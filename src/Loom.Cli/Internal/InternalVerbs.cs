using System.Collections.Immutable;
using Loom.Cli.Terminal;
using Loom.Core.Toml;
using Loom.Processes.Guarding;

namespace Loom.Cli.Internal;

/// <summary>Verbs that Loom starts itself with; they pass by the command line's parser, so that a guardian stays small and starts fast.</summary>
internal static class InternalVerbs
{
    /// <summary>Runs <c>loom internal VERB ..</c>.</summary>
    public static async Task<int> RunAsync(ImmutableArray<string> arguments)
    {
        switch (arguments is [_, var verb, ..] ? verb : null)
        {
            case "guardian":
                return await Guardian.RunAsync(arguments[2..], TimeProvider.System).ConfigureAwait(false);
            case "supervise":
                return await SuperviseVerb.RunAsync(arguments[2..]).ConfigureAwait(false);
            case "toml-decode":
                return TomlTaggedJson.Decode(Console.OpenStandardInput(), Console.OpenStandardOutput(), Console.Error);
            default:
                await Console.Error.WriteLineAsync("loom internal: these verbs are for Loom itself; see 'loom --help'").ConfigureAwait(false);
                return ExitCode.Usage;
        }
    }
}
