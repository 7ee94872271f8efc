using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Runtime.CompilerServices;

namespace Loom.Cli.Verbs;

/// <summary>Whole command lines that follow a command's own help.</summary>
public static class Examples
{
    private static readonly ConditionalWeakTable<Command, string[]> s_examples = [];

    /// <summary>Gives <paramref name="command"/> its examples.</summary>
    public static void Set(Command command, string[] examples) => s_examples.AddOrUpdate(command, examples);

    /// <summary>The examples of <paramref name="command"/>; none = empty.</summary>
    public static string[] Of(Command command) => s_examples.TryGetValue(command, out var examples) ? examples : [];

    /// <summary>Adds examples to the help of all commands below <paramref name="root"/>.</summary>
    public static void ShowInHelp(RootCommand root)
    {
        var help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExamples((HelpAction)help.Action!);
    }

    private sealed class HelpWithExamples(HelpAction inner) : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            var result = inner.Invoke(parseResult);
            var examples = Of(parseResult.CommandResult.Command);
            if (examples.Length > 0)
            {
                var output = parseResult.InvocationConfiguration.Output;
                output.WriteLine("Examples:");
                foreach (var example in examples)
                {
                    output.WriteLine("  " + example);
                }
            }

            return result;
        }
    }
}
