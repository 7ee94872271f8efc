using System.CommandLine;
using System.CommandLine.Parsing;
using Loom.Cli.Terminal;
using Loom.Core.Settings;

namespace Loom.Cli.Verbs;

/// <summary>
/// Every flag has a twin in the environment: <c>--wait-timeout</c> is <c>LOOM_WAIT_TIMEOUT</c>. A twin acts only where the flag is not given.
/// </summary>
internal static class FlagTwins
{
    /// <summary>The variable of an option.</summary>
    public static string VariableOf(Option option) => "LOOM_" + option.Name.TrimStart('-').Replace('-', '_').ToUpperInvariant();

    /// <summary>The command line with the twins that are set added to it.</summary>
    /// <exception cref="CliError">The twin of a flag is neither on nor off.</exception>
    public static string[] Apply(RootCommand root, string[] args, Func<string, string?> environment)
    {
        if (args.Length == 0 || args[0].StartsWith('['))
        {
            return args;
        }

        var parse = root.Parse(args);
        var added = new List<string>();
        for (SymbolResult? result = parse.CommandResult; result is CommandResult command; result = result.Parent)
        {
            foreach (var option in command.Command.Options)
            {
                // Help and version of the parser itself act at once; the project has its own rule (a flag beats the variable beats the search).
                if (option is System.CommandLine.Help.HelpOption or VersionOption || option == GlobalOptions.Project || option == GlobalOptions.Set)
                {
                    continue;
                }

                if (parse.GetResult(option) is null or { Implicit: true } && environment(VariableOf(option)) is { Length: > 0 } value)
                {
                    AddTwin(option, value, added);
                }
            }
        }

        if (added.Count == 0)
        {
            return args;
        }

        // Before a "--": what follows it belongs to the script that is run.
        var end = Array.IndexOf(args, "--");
        return end < 0 ? [.. args, .. added] : [.. args[..end], .. added, .. args[end..]];
    }

    private static void AddTwin(Option option, string value, List<string> added)
    {
        if (option.ValueType != typeof(bool))
        {
            added.AddRange([option.Name, value]);
        }
        else if (IsOn(VariableOf(option), value))
        {
            added.Add(option.Name);
        }
    }

    /// <summary>Reads a flag's variable.</summary>
    /// <exception cref="CliError">It is neither on nor off.</exception>
    private static bool IsOn(string variable, string value) => value.Trim().ToLowerInvariant() switch
    {
        "1" or "true" or "yes" or "on" => true,
        "0" or "false" or "no" or "off" => false,
        _ => throw new CliError(ExitCode.Usage, "BAD_VARIABLE", $"{variable} is '{Redaction.Plain(value)}', which is neither on nor off", $"{variable}=1, or unset it"),
    };
}
