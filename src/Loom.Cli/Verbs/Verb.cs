using System.CommandLine;
using System.Text.Json;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary>Builds commands: a description, examples in the help, and an action whose <see cref="CliError"/> becomes message and exit code. So do the
/// errors of disk and files that no verb foresaw; with <c>-v</c> their stack trace follows.</summary>
public static class Verb
{
    /// <summary>A command that runs <paramref name="action"/>.</summary>
    /// <param name="name">Word on the command line.</param>
    /// <param name="description">One line.</param>
    /// <param name="examples">Whole command lines shown under the help.</param>
    /// <param name="action">What it does; returns the exit code.</param>
    public static Command Create(string name, string description, string[] examples, Func<VerbContext, ParseResult, CancellationToken, Task<int>> action)
    {
        var command = new Command(name, description);
        Examples.Set(command, examples);
        command.SetAction((parse, cancellationToken) => RunAsync(parse, action, cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parse, Func<VerbContext, ParseResult, CancellationToken, Task<int>> action, CancellationToken cancellationToken)
    {
        var context = VerbContext.FromProcess(parse);
        try
        {
            return await action(context, parse, cancellationToken).ConfigureAwait(false);
        }
        catch (CliError error)
        {
            error.WriteTo(context.Terminal);
            return error.Exit;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ExitCode.Interrupted;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException or JsonException or OverflowException or TimeoutException)
        {
            new CliError(ExitCode.Failed, "FAILED", e.Message, context.Terminal.Verbose ? null : "loom doctor; -v tells where it happened").WriteTo(context.Terminal);
            if (context.Terminal.Verbose)
            {
                context.Terminal.Err.WriteLine(e);
            }

            return ExitCode.Failed;
        }
    }
}
