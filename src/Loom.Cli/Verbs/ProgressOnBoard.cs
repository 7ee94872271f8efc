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
        value.Human,
        value.Pct);
}
