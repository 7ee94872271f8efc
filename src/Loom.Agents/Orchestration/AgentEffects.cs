using Loom.Processes;
using Microsoft.Extensions.Logging;

namespace Loom.Agents.Orchestration;

/// <summary>
/// Lets the supervisor do what the machine decided. Requests are handed over in order, and none is waited for: each answers later, with an event.
/// </summary>
internal sealed partial class AgentEffects(ISupervisor supervisor, Action<HostEvent> tell, ILogger logger)
{
    private readonly List<Task> _work = [];

    /// <summary>Ends with what is under way; asked for once the loop has ended.</summary>
    internal Task Idle => Task.WhenAll(_work);

    internal void Perform(HostAction action)
    {
        _work.RemoveAll(w => w.IsCompleted);
        _work.Add(action switch
        {
            HostAction.Add add => AddAsync(add),
            HostAction.Hold hold => HoldAsync(hold),
            HostAction.Start start => AnswerAsync(start.Name, start.Op, supervisor.StartAsync(start.Name, CancellationToken.None)),
            HostAction.Restart again => AnswerAsync(again.Name, again.Op, supervisor.RestartAsync(again.Name, CancellationToken.None, again.Reason)),
            HostAction.Reload reload => AnswerAsync(reload.Name, reload.Op, supervisor.ReloadAsync(reload.Name, reload.Reason, CancellationToken.None)),
            HostAction.Stop stop => AnswerAsync(stop.Name, stop.Op, supervisor.StopAsync(stop.Name, CancellationToken.None)),
            HostAction.Remove remove => AnswerAsync(remove.Name, remove.Op, supervisor.RemoveAsync(remove.Name, CancellationToken.None)),
            HostAction.Replace replace => AnswerAsync(replace.Name, replace.Op, ReplaceAsync(replace.Plan)),
            _ => throw new InvalidOperationException($"an action without an effect: {action}"),
        });
    }

    private async Task ReplaceAsync(ProcessPlan plan)
    {
        await supervisor.RemoveAsync(plan.Name, CancellationToken.None).ConfigureAwait(false);
        await supervisor.AddAsync(plan, start: false, CancellationToken.None).ConfigureAwait(false);
    }

    private async Task AddAsync(HostAction.Add add)
    {
        try
        {
            await supervisor.AddAsync(add.Plan, start: false, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            LogRefused(logger, add.Name, e.Message);
            tell(new HostEvent.Refused(add.Name, e.Message));
        }
    }

    private async Task HoldAsync(HostAction.Hold hold)
    {
        try
        {
            await supervisor.HoldAsync(hold.Name, hold.Shown, hold.Reason, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException)
        {
            LogNotHeld(logger, hold.Name, e.Message); // only what is shown is wrong
        }
    }

    private async Task AnswerAsync(string name, int op, Task work)
    {
        try
        {
            await work.ConfigureAwait(false);
            tell(new HostEvent.Answered(name, op, null));
        }
        catch (SurvivorsException e)
        {
            tell(new HostEvent.Answered(name, op, e.Message) { Survivors = e.Survivors });
        }
        catch (Exception e)
        {
            tell(new HostEvent.Answered(name, op, e.Message)); // shown as the replica's reason
        }
    }

    [LoggerMessage(EventId = 3100, Level = LogLevel.Error, Message = "agent {Name} cannot be started: {Reason}")]
    private static partial void LogRefused(ILogger logger, string name, string reason);

    [LoggerMessage(EventId = 3101, Level = LogLevel.Warning, Message = "agent {Name} cannot be shown as waiting: {Reason}")]
    private static partial void LogNotHeld(ILogger logger, string name, string reason);
}
