using Loom.Components;
using Loom.Harness.Capabilities;
using Loom.Harness.Streams;

namespace Loom.Harness.Execution;

/// <summary>What the process phase of a component gets.</summary>
internal sealed class HostProcessContext(ComponentHost host, RunSurroundings run, Component component) : ProcessContext, IDisposable
{
    private IDisposable? _chain;

    public override string Name => host.Plan.Name;

    public override TimeProvider Time => run.Time;

    public override IComponentMetrics Metrics => host.Loop.Metrics;

    /// <summary>Metrics of the whole run, for conditions over them.</summary>
    public Telemetry.MetricHistory SystemMetrics => run.Monitor.Metrics;

    public override CancellationToken Stopping => host.Loop.Stopping;

    internal override IComponentRunner Runner => host;

    public override void Wake() => host.Loop.Ask(Attention.Wake);

    public override void WhenConfirmed(Func<ValueTask> acknowledge)
    {
        host.Loop.Acknowledgements.Add(acknowledge);
        host.Loop.Checkpoints.WantConfirmed(now: true);
    }

    public override IInput<T> In<T>(string port = "in")
    {
        var input = host.Loop.OwnInput<T>(port);
        input.Component = component;
        return input;
    }

    public override ValueTask ExecuteAsync<T>(Event<T> e, Func<Event<T>, CancellationToken, ValueTask> handler, CancellationToken ct)
    {
        if (_chain is not OwnChain<T> chain)
        {
            _chain?.Dispose();
            chain = new OwnChain<T>(host.Loop.Chain, host.Plan.Name);
            _chain = chain;
        }

        return chain.InvokeAsync(e, handler, ct);
    }

    public void Dispose() => _chain?.Dispose();

    public override IOutput<T> Out<T>(string port = "out") =>
        host.Loop.Outputs.FirstOrDefault(o => o.Plan.Name == port) switch
        {
            OutputPort<T> output => new OwnOutput<T>(host.Loop, output),
            null => throw new InvalidOperationException($"component \"{Name}\" has no output port \"{port}\""),
            var other => throw new InvalidOperationException($"output port \"{port}\" of \"{Name}\" carries {other.Plan.Data.Name}, not {typeof(T).Name}"),
        };
}
