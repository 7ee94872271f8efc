using System.Collections.Immutable;
using Loom.Agents.Orchestration;
using Loom.Core.Settings;
using Loom.Processes;

namespace Loom.Agents.Project;

/// <summary>Does what clients of the control socket ask for. Agents are steered through their owner, every other process directly.</summary>
/// <param name="supervisor">Who runs the processes.</param>
/// <param name="state">The state of the run as of now.</param>
/// <param name="agents">The agents; null until they are known.</param>
/// <param name="systems">The dataflow systems; null until they are known, or where there are none.</param>
/// <param name="applied">Told of a configuration put in force.</param>
/// <param name="time">Clock of the waits.</param>
internal sealed class ControlDesk(ISupervisor supervisor, Func<RunState> state, Func<ProjectAgents?> agents, Func<IProjectSystems?> systems, Action<PlanReading> applied, TimeProvider time)
{
    /// <summary>Whether a caller that leaves ends the request.</summary>
    internal static bool Waits(ControlRequest request) => request.Op == ControlOps.Wait || request.Wait;

    /// <summary>Answers everything that has one answer.</summary>
    internal async Task<ControlReply> AnswerAsync(ControlRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return request.Op switch
            {
                // What they use is read when somebody asks: nothing is sampled for nobody.
                ControlOps.Status => new ControlReply { State = WithUsage(state()) },
                ControlOps.Start or ControlOps.Stop or ControlOps.Restart => await SteerAsync(request, cancellationToken).ConfigureAwait(false),
                ControlOps.Wait => await WaitAsync(request, cancellationToken).ConfigureAwait(false),
                ControlOps.Drift => await DriftAsync(cancellationToken).ConfigureAwait(false),
                ControlOps.Apply => await ApplyAsync(cancellationToken).ConfigureAwait(false),
                _ => Refuse(
                    ControlRefusal.UnknownRequest,
                    $"unknown request '{request.Op}': the loom that runs here (version {state().LoomVersion}) knows {string.Join(", ", ControlOps.All)}"),
            };
        }
        catch (UnknownAgentException e)
        {
            return Refuse(ControlRefusal.UnknownName, e.Message) with { Nearest = e.Nearest };
        }
        catch (ArgumentException e)
        {
            return Refuse(ControlRefusal.UnknownName, e.Message); // removed a moment ago
        }
        catch (PlanRefusedException e)
        {
            return Refuse(ControlRefusal.BadConfiguration, e.Message);
        }
        catch (SurvivorsException e)
        {
            return Refuse(ControlRefusal.Survivors, e.Message);
        }
        catch (InvalidOperationException e)
        {
            return Refuse(ControlRefusal.NotNow, e.Message); // also when the supervisor is gone: ObjectDisposedException
        }
    }

    /// <summary>The processes a name means: an agent's replicas, or the process of that name.</summary>
    internal ImmutableArray<string> ProcessesOf(ImmutableArray<string>? names) => names is not { } asked
        ? [.. supervisor.Processes.Select(p => p.Name)]
        : [.. asked.SelectMany(n => agents()?.Host.Agents.Where(a => a.Agent == n).Select(a => a.Name).Append(n) ?? [n]).Distinct(StringComparer.Ordinal)];

    internal static ControlReply Refuse(ControlRefusal refusal, string error) => new() { Ok = false, Refusal = refusal, Error = error };

    private RunState WithUsage(RunState now) => now with { Processes = [.. now.Processes.Select(p => p.With(supervisor.Usage(p.Name)))] };

    private async Task<ControlReply> SteerAsync(ControlRequest request, CancellationToken cancellationToken)
    {
        var host = agents()?.Host;
        var (mine, flows, others) = Sort(request, host);
        var work = others.Select(n => request.Op switch
        {
            ControlOps.Start => supervisor.StartAsync(n, cancellationToken),
            ControlOps.Stop => supervisor.StopAsync(n, cancellationToken),
            _ => supervisor.RestartAsync(n, cancellationToken),
        }).ToList();
        work.AddRange(flows.Select(n => SteerAsync(request.Op, systems()!, n, cancellationToken)));
        if (mine is not { Count: 0 })
        {
            var owner = host ?? throw new InvalidOperationException("the agents are not known yet: the project is just starting");
            work.Add(request.Op switch
            {
                ControlOps.Start => owner.StartAsync(mine, !request.NoDeps, cancellationToken),
                ControlOps.Stop => owner.StopAsync(mine, !request.NoDeps, cancellationToken),
                _ => owner.RestartAsync(mine, !request.NoDeps, cancellationToken),
            });
        }

        await Task.WhenAll(work).ConfigureAwait(false);
        return request is { Wait: true, Op: not ControlOps.Stop } && host is not null
            ? await UntilAsync(host, mine, ControlWaits.Ready, request.TimeoutMs, cancellationToken).ConfigureAwait(false)
            : new ControlReply { State = state() };
    }

    private static async Task SteerAsync(string op, IProjectSystems systems, string name, CancellationToken cancellationToken)
    {
        if (op is not ControlOps.Start)
        {
            await systems.StopAsync(name, cancellationToken).ConfigureAwait(false);
        }

        if (op is not ControlOps.Stop)
        {
            await systems.StartAsync(name, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<ControlReply> WaitAsync(ControlRequest request, CancellationToken cancellationToken)
    {
        if (request.For is not (null or "ready" or "ended"))
        {
            return Refuse(ControlRefusal.BadRequest, $"cannot wait for '{request.For}': ready and ended can be waited for");
        }

        var host = agents()?.Host ?? throw new InvalidOperationException("the agents are not known yet: the project is just starting");
        return await UntilAsync(host, request.Names, request.For == "ended" ? ControlWaits.Ended : ControlWaits.Ready, request.TimeoutMs, cancellationToken).ConfigureAwait(false);
    }

    private async Task<ControlReply> UntilAsync(
        AgentHost host, IReadOnlyCollection<string>? names, Func<AgentStatus, WaitOutcome?> judge, long? timeoutMs, CancellationToken cancellationToken)
    {
        using var limit = timeoutMs is { } ms ? new CancellationTokenSource(TimeSpan.FromMilliseconds(Math.Clamp(ms, 0, int.MaxValue)), time) : new CancellationTokenSource();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var outcome = WaitOutcome.Met;
        try
        {
            var last = await host.WaitAsync(names, all => all.All(a => judge(a) is not null), either.Token).ConfigureAwait(false);
            outcome = last.Any(a => judge(a) == WaitOutcome.Failed) ? WaitOutcome.Failed : WaitOutcome.Met;
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            outcome = WaitOutcome.Timeout;
        }

        return new ControlReply { State = state(), Outcome = outcome };
    }

    private async Task<ControlReply> DriftAsync(CancellationToken cancellationToken)
    {
        var (host, read) = Known();
        var reading = await read(cancellationToken).ConfigureAwait(false);
        return new ControlReply { State = state(), Changes = [.. ControlChange.From(host.Drift(reading.Plan)), .. systems()?.Drift(reading.Systems) ?? []] };
    }

    private async Task<ControlReply> ApplyAsync(CancellationToken cancellationToken)
    {
        var (host, read) = Known();
        var reading = await read(cancellationToken).ConfigureAwait(false);
        // Systems first, as at the start: they may be refused (an address in use, the project stopping), and then nothing of the new configuration is in force.
        var flows = systems() is { } owner ? await owner.ApplyAsync(reading.Systems, cancellationToken).ConfigureAwait(false) : [];
        var result = await host.ApplyAsync(reading.Plan, cancellationToken).ConfigureAwait(false);
        applied(reading);
        return new ControlReply { State = state(), Changes = [.. ControlChange.From(result.Changes), .. flows] };
    }

    private ProjectAgents Known() => agents() ?? throw new InvalidOperationException("the agents are not known yet: the project is just starting");

    /// <summary>Agents, dataflow systems, and processes that are nobody's agent. Null = all agents.</summary>
    private (IReadOnlyCollection<string>? Mine, IReadOnlyCollection<string> Flows, IReadOnlyCollection<string> Others) Sort(ControlRequest request, AgentHost? host)
    {
        var records = systems()?.Records ?? [];
        if (request.Names is not { } asked)
        {
            return (null, request.Op == ControlOps.Start ? [.. records.Where(r => r.State == "failed").Select(r => r.Name)] : [], []);
        }

        var mine = asked.Where(n => host?.Knows(n) == true).ToList();
        var flows = asked.Except(mine, StringComparer.Ordinal).Where(n => records.Any(r => r.Name == n)).ToList();
        var others = asked.Except(mine, StringComparer.Ordinal).Except(flows, StringComparer.Ordinal).ToList();
        if (others.Find(n => !supervisor.Processes.Any(p => p.Name == n)) is { } unknown)
        {
            var known = supervisor.Processes.Select(p => p.Name).Union(host?.Plan.Agents.Select(a => a.Name) ?? [], StringComparer.Ordinal).Union(records.Select(r => r.Name), StringComparer.Ordinal).Order(StringComparer.Ordinal).ToList();
            throw new UnknownAgentException(unknown, Nearest.Of(unknown, known), known);
        }

        return (mine, flows, others);
    }
}

/// <summary>What waiting means for one agent; null = go on waiting.</summary>
internal static class ControlWaits
{
    internal static WaitOutcome? Ready(AgentStatus agent) => agent switch
    {
        { State: ProcessState.Ready or ProcessState.Completed } => WaitOutcome.Met,
        { Wanted: false } or { State: ProcessState.Failed or ProcessState.Skipped or ProcessState.Blocked } => WaitOutcome.Failed,
        _ => null,
    };

    internal static WaitOutcome? Ended(AgentStatus agent) =>
        agent.State is ProcessState.Completed or ProcessState.Failed or ProcessState.Stopped or ProcessState.Skipped or ProcessState.Blocked ? WaitOutcome.Met : null;
}
