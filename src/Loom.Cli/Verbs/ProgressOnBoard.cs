using Loom.Cli.Terminal;
using Loom.Node.Provisioning;

namespace Loom.Cli.Verbs;

/// <summary>Steps of provisioning as tasks of the board.</summary>
internal sealed class ProgressOnBoard(TaskBoard board) : IProgress<ProvisionProgress>
{
    public void Report(ProvisionProgress value) => board.Set(
        value.Step,
        value.Status switch
        {
            StepStatus.Completed => TaskMark.Done,
            StepStatus.Failed => TaskMark.Failed,
            StepStatus.Running => TaskMark.Running,
            _ => TaskMark.Waiting,
        },
        Text(value),
        value.Pct);

    // The board's first column names the step already.
    private static string Text(ProvisionProgress value)
    {
        var colon = value.Human.IndexOf(": ", StringComparison.Ordinal);
        return colon > 0 && value.Human[..colon].Replace(' ', ':').Equals(value.Step, StringComparison.Ordinal) ? value.Human[(colon + 2)..] : value.Human;
    }
}
