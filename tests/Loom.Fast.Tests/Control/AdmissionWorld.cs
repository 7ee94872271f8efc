using System.Collections.Immutable;
using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Control.Placement;
using Loom.Core.Queues;
using Loom.Testing;
using Loom.Wire;
using Shouldly;

namespace Loom.Fast.Tests.Control;

/// <summary>An admission desk with replicas that tests publish and a clock that tests move.</summary>
internal sealed class AdmissionWorld : IDisposable
{
    private readonly ReplicaTable _table = new();
    private readonly (string Name, string Model, int Slots)[] _replicas;

    public AdmissionWorld(int capacity, (string Name, string Model, int Slots)[] replicas, ReplicaState state = ReplicaState.Ready, OverflowPolicy policy = OverflowPolicy.DropLru)
    {
        _replicas = replicas;
        Desk = new AdmissionDesk(new AdmissionOptions { Capacity = capacity, Policy = policy }, new RoundRobin(), Time, new Random(1));
        _table.Changed += Desk.Apply;
        Publish(state);
    }

    public ManualTimeProvider Time { get; } = new();

    public AdmissionDesk Desk { get; }

    public ImmutableArray<Replica> Replicas => _table.Current.Replicas;

    public void Publish(ReplicaState state) => Publish(status => status with { State = state });

    public void Publish(Func<ReplicaStatus, ReplicaStatus> change) => _table.Publish([.. _replicas.Select(r => change(new ReplicaStatus
    {
        Id = new ReplicaId("n", "p-" + r.Model, r.Name),
        State = ReplicaState.Ready,
        EngineKind = "mock",
        Model = r.Model,
        Models = [r.Model],
        SlotsTotal = r.Slots,
        Url = "http://127.0.0.1:1/v1",
    }))]);

    public void PublishNothing() => _table.Publish([]);

    public Admittance Enter(
        string model, out Ticket ticket, double? deadlineMs = null, QueueClass queueClass = QueueClass.Interactive, ILeaseHolder? holder = null)
    {
        ticket = new Ticket(holder);
        _table.Current.TryResolve(model, out var route).ShouldBeTrue();
        ticket.Reset(route!, queueClass, deadlineMs, Time.GetTimestamp());
        return Desk.Enter(ticket);
    }

    public void Dispose() => Desk.Dispose();
}
