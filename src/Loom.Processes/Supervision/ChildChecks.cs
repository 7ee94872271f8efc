using System.Text.RegularExpressions;
using Loom.Processes.Probes;
using Microsoft.Extensions.Logging;

namespace Loom.Processes.Supervision;

/// <summary>What is asked of children and takes time: the port before the start, probes, the command that stops. The answers come as events.</summary>
internal sealed partial class ChildChecks(ProbeRunner probes, Action<SupervisedChild, ChildEvent> report, ILogger logger, CancellationToken end)
{
    internal void CheckPort(SupervisedChild child, int incarnation) => _ = CheckPortAsync(child, incarnation);

    internal void Probe(SupervisedChild child, int incarnation, ProbePlan plan) => _ = ProbeAsync(child, incarnation, plan, child.NewProbe(end));

    internal void Ask(SupervisedChild child, int incarnation) => _ = AskAsync(child, incarnation, child.NewProbe(end));

    /// <summary>A child that is ready by a line of its output: from here on each of its lines is looked at.</summary>
    internal void WatchForLine(SupervisedChild child, int incarnation)
    {
        if (child.State.Plan.Ready?.Check is ProbeCheck.Log log)
        {
            child.Log.Watch(Matching(
                PlanCheck.LogPattern(log.Pattern),
                () => report(child, new ChildEvent.Probed(incarnation, true, "the line has come"))));
        }
    }

    private static Func<string, bool> Matching(Regex pattern, Action onMatch) => line =>
    {
        try
        {
            if (!pattern.IsMatch(line))
            {
                return false;
            }
        }
        catch (RegexMatchTimeoutException)
        {
            return false;
        }

        onMatch();
        return true;
    };

    private async Task CheckPortAsync(SupervisedChild child, int incarnation)
    {
        string? holder = null;
        try
        {
            foreach (var probe in new[] { child.State.Plan.Ready, child.State.Plan.Live })
            {
                holder ??= probe is null ? null : await probes.WhoAnswersAsync(probe.Check, end).ConfigureAwait(false);
            }
        }
        catch (Exception e)
        {
            LogFault(logger, e, child.Name); // could not look: a start that waits for ever would be worse than one that finds out by itself
        }

        report(child, new ChildEvent.PortChecked(incarnation, holder));
    }

    private async Task ProbeAsync(SupervisedChild child, int incarnation, ProbePlan plan, CancellationToken cancellationToken)
    {
        try
        {
            var result = await probes.RunAsync(plan, child.State.Plan, child.Environment, cancellationToken).ConfigureAwait(false);
            report(child, new ChildEvent.Probed(incarnation, result.Passed, result.Detail));
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The child is being ended: nobody asks any more.
        }
        catch (Exception e)
        {
            report(child, new ChildEvent.Probed(incarnation, false, $"{ProbeRunner.Describe(plan.Check)}: cannot be carried out: {e.Message}"));
        }
    }

    private async Task AskAsync(SupervisedChild child, int incarnation, CancellationToken cancellationToken)
    {
        var plan = child.State.Plan;
        try
        {
            var ask = new ProbePlan { Check = new ProbeCheck.Exec(plan.StopCommand), Timeout = child.State.Grace };
            if (await probes.RunAsync(ask, plan, child.Environment, cancellationToken).ConfigureAwait(false) is { Passed: false } failed)
            {
                LogNotAsked(logger, plan.Name, failed.Detail);
            }

            report(child, new ChildEvent.Asked(incarnation));
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The grace is over, or the child has ended: the signal does not wait for this any more.
        }
        catch (Exception e)
        {
            LogNotAsked(logger, plan.Name, e.Message);
            report(child, new ChildEvent.Asked(incarnation));
        }
    }

    [LoggerMessage(EventId = 2032, Level = LogLevel.Warning, Message = "stop command of {Name} failed: {Detail}; the stop signal follows")]
    private static partial void LogNotAsked(ILogger logger, string name, string detail);

    [LoggerMessage(EventId = 2030, Level = LogLevel.Error, Message = "cannot look whether the port of {Name} is free; it is started all the same")]
    private static partial void LogFault(ILogger logger, Exception error, string name);
}
