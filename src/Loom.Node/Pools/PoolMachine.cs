using System.Collections.Immutable;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Wire;

namespace Loom.Node.Pools;

/// <summary>
/// The life of a pool as a pure function: what an event means for it, what the world is told of it. Doing is the part of <see cref="PoolOwner"/> and of the
/// operations. An event about something that is gone changes nothing.
/// </summary>
public static class PoolMachine
{
    /// <summary>A pool whose engines all rest.</summary>
    /// <param name="plan">What it is to be.</param>
    /// <param name="nodeId">Node it is on.</param>
    public static PoolState First(PoolPlan plan, string nodeId) => new(plan,
    [
        .. Enumerable.Range(0, plan.Replicas).Select(i => new Member(new ReplicaId(nodeId, plan.Id, $"r{i}"),
            new Seat(i, plan, new EngineState.Stopped(null)))),
    ]);

    /// <summary>The pool after an event.</summary>
    /// <param name="state">The pool before.</param>
    /// <param name="news">What happened.</param>
    /// <param name="nowMs">When, Unix milliseconds.</param>
    public static PoolState Step(PoolState state, PoolEvent news, long nowMs) => news switch
    {
        PoolEvent.Asked asked => state.Operation is null ? state with { Operation = asked.Word } : state,
        PoolEvent.Ended => state with { Operation = null },
        PoolEvent.EngineTold told => Told(state, told, nowMs),
        PoolEvent.ModeSet set => Change(state, set.Member, m => m with { Mode = set.Mode }),
        PoolEvent.Joined joined => Change(state, joined.Member, m => m with { Incoming = joined.Seat }),
        PoolEvent.Left left => Change(state, left.Member, m => m with { Incoming = null }),
        PoolEvent.Switched switched => switched.Members.Aggregate(state, (pool, at) => Change(pool, at, m => TakeOver(m, nowMs))),
        PoolEvent.Replanned replanned => Replan(state, replanned.Plan),
        PoolEvent.DrainSet set => state with { Drained = set.Drained },
        PoolEvent.Rested rested => Change(state, rested.Member, m => m with { Rest = rested.Why }),
        PoolEvent.LostBoth lost => Change(state, lost.Member, m => m with { Lost = lost.Why }),
        _ => state,
    };

    /// <summary>What the world is told of its replicas.</summary>
    public static ImmutableArray<ReplicaStatus> View(PoolState state) => [.. state.Members.Select(m => View(state, m))];

    private static ReplicaStatus View(PoolState state, Member member)
    {
        // With the old engine gone, the old model can neither answer nor be waited for: the new one is what requests may wait for.
        var shown = member is { Mode: MemberMode.Down, Incoming: { } next } ? next : member.Engine;
        var status = ReplicaView.Of(member.Id, shown.Plan, shown.State);
        status = member.Mode switch
        {
            MemberMode.Beside => status with
            {
                State = ReplicaState.Reloading,
                Url = status.State == ReplicaState.Ready ? status.Url : null,
                LoadPercent = member.Incoming is { } coming ? ReplicaView.Of(member.Id, coming.Plan, coming.State).LoadPercent : null,
            },
            MemberMode.Down => status with { State = ReplicaState.Reloading, Url = null, LastError = null },
            MemberMode.Closing when status.State == ReplicaState.Ready => status with { State = ReplicaState.Draining },
            _ => status,
        };
        if (member.Lost is { } lost && status.State is not (ReplicaState.Ready or ReplicaState.Stopped))
        {
            status = status with { State = ReplicaState.Failed, LastError = lost };
        }

        if (state.Drained && status.State is not (ReplicaState.Stopped or ReplicaState.Failed))
        {
            status = status with { State = ReplicaState.Draining };
        }

        return status with
        {
            LoadMs = member.LoadMs,
            // What was handed another model, or is being given one, has that for its first.
            FirstModel = shown.Plan.ModelIds.Contains(state.Plan.ModelIds[0]) ? state.Plan.ModelIds[0] : shown.Model,
            LastError = status.LastError ?? (status.State == ReplicaState.Stopped ? member.Rest : null),
        };
    }

    private static PoolState Told(PoolState state, PoolEvent.EngineTold told, long nowMs)
    {
        for (var i = 0; i < state.Members.Length; i++)
        {
            var member = state.Members[i];
            if (member.Engine.Key == told.Key)
            {
                var seat = Told(member.Engine, told.State, nowMs);
                var ready = told.State is EngineState.Ready;
                return Change(state, i, m => m with
                {
                    Engine = seat,
                    LoadMs = LoadTime(member.Engine, told.State, nowMs) ?? m.LoadMs,
                    ReadySinceMs = ready ? m.ReadySinceMs ?? nowMs : null,
                    Lost = ready ? null : m.Lost,
                    Rest = told.State is EngineState.Stopped or EngineState.Stopping ? m.Rest : null,
                });
            }

            if (member.Incoming is { } coming && coming.Key == told.Key)
            {
                return Change(state, i, m => m with
                {
                    Incoming = Told(coming, told.State, nowMs),
                    LoadMs = LoadTime(coming, told.State, nowMs) ?? m.LoadMs,
                });
            }
        }

        return state;
    }

    private static Seat Told(Seat seat, EngineState news, long nowMs) => seat with
    {
        State = news,
        SpawnedMs = news is EngineState.Starting { Run.Spawn: > 0 } starting
            ? seat.State.CurrentRun?.Spawn == starting.Run.Spawn ? seat.SpawnedMs ?? nowMs : nowMs
            : null,
    };

    private static int? LoadTime(Seat before, EngineState news, long nowMs) =>
        news is EngineState.Ready && before.SpawnedMs is { } since ? (int)Math.Clamp(nowMs - since, 0, int.MaxValue) : null;

    private static Member TakeOver(Member member, long nowMs) => member.Incoming is not { } coming
        ? member
        : member with
        {
            Engine = coming,
            Incoming = null,
            Mode = MemberMode.Serving,
            Lost = null,
            ReadySinceMs = coming.State is EngineState.Ready ? nowMs : null,
            Rest = null,
        };

    private static PoolState Replan(PoolState state, PoolPlan plan) => state with
    {
        Plan = plan,
        Known = state.Known.SetItems(state.Plan.ModelIds.Zip(state.Plan.Models, KeyValuePair.Create)),
    };

    private static PoolState Change(PoolState state, int member, Func<Member, Member> change) =>
        state with { Members = state.Members.SetItem(member, change(state.Members[member])) };
}
