using Loom.Node.Provisioning;
using Loom.Wire;

namespace Loom.Node.Pools;

/// <summary>Keeps the record of one operation and tells each change of it. Steps report from several threads, hence the lock.</summary>
/// <param name="kind">Word of the command.</param>
/// <param name="pool">The pool.</param>
/// <param name="node">The node, for the group of its steps.</param>
/// <param name="progress">Told of each change, in order.</param>
internal sealed class OperationLog(string kind, string pool, string node, Action<OperationStatus> progress) : IProgress<ProvisionProgress>
{
    private readonly Lock _gate = new();
    private readonly string _group = $"{node}/{pool}";
    private OperationStatus _status = new() { Id = Guid.CreateVersion7().ToString(), Kind = kind, PoolId = pool, Status = OperationState.Running };

    /// <summary>Word of the command.</summary>
    public string Kind => kind;

    /// <summary>A step of provisioning.</summary>
    public void Report(ProvisionProgress value) => Put(new OperationStep
    {
        Step = value.Step,
        Kind = value.Kind,
        Group = _group,
        Status = value.Status.ToString().ToLowerInvariant(),
        BytesDone = value.BytesDone,
        BytesTotal = value.BytesTotal,
        Pct = value.Pct,
        Phase = value.Phase,
        Human = value.Human,
    });

    /// <summary>A step begins, or says where it is.</summary>
    public void Running(string step, string stepKind, string human, int? percent = null) => Put(Step(step, stepKind, "running", human) with { Pct = percent });

    /// <summary>A step is done.</summary>
    public void Done(string step, string stepKind, string human = "done") => Put(Step(step, stepKind, "completed", human) with { Pct = 100 });

    /// <summary>A step failed.</summary>
    /// <summary>There was nothing to do.</summary>
    public void Absent(string step, string stepKind, string human) => Put(Step(step, stepKind, "completed", human) with { Phase = OperationStep.Absent });

    public void Failed(string step, string stepKind, string human) => Put(Step(step, stepKind, "failed", human));

    /// <summary>The operation ends.</summary>
    public OperationStatus End(OperationState end, string? error)
    {
        lock (_gate)
        {
            _status = _status with { Status = end, Error = error };
            progress(_status);
            return _status;
        }
    }

    private OperationStep Step(string step, string stepKind, string status, string human) =>
        new() { Step = step, Kind = stepKind, Group = _group, Status = status, Human = human };

    private void Put(OperationStep step)
    {
        lock (_gate)
        {
            var steps = _status.Steps;
            var at = steps.IndexOf(steps.LastOrDefault(s => s.Step == step.Step)!);
            if (at >= 0 && steps[at] == step)
            {
                return;
            }

            _status = _status with { Steps = at < 0 ? steps.Add(step) : steps.SetItem(at, step) };
            progress(_status);
        }
    }
}
