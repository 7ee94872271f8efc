using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;

namespace Loom.Harness.Tests.StandIns;

/// <summary>Stands in for a component: answers what a test says, and asks the component itself only where the test wants that.</summary>
/// <param name="plan">The component it stands for.</param>
/// <param name="answers">What it answers.</param>
/// <param name="real">Makes the component itself; null where it is never asked.</param>
internal sealed class MockComponent(ComponentPlan plan, IAnswers answers, Func<Component>? real) : ItemComponent<JsonElement, JsonElement>
{
    private readonly IReadOnlyList<string> _inputs = [.. plan.Ports.Where(p => p.Class == SemanticClass.DataIn).Select(p => p.Name)];
    private readonly IReadOnlyList<string> _outputs = [.. plan.Ports.Where(p => p.Class == SemanticClass.DataOut).Select(p => p.Name)];
    private readonly bool _isReply = plan.Ports.Any(p => p is { Class: SemanticClass.DataIn, Flow: FlowType.RequestResponse });
    private readonly Lazy<ItemComponent<JsonElement, JsonElement>?> _real = new(() => (ItemComponent<JsonElement, JsonElement>?)real?.Invoke());

    /// <inheritdoc />
    protected internal override IReadOnlyList<string> Inputs => _inputs;

    /// <inheritdoc />
    protected internal override IReadOnlyList<string> Outputs => _outputs;

    /// <inheritdoc />
    protected internal override TimeSpan? Tick => _real.Value?.Tick;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct) => _real.Value?.SetupAsync(ctx, ct) ?? default;

    /// <inheritdoc />
    protected internal override ValueTask OnTickAsync(DateTimeOffset now, Emitter<JsonElement> output, CancellationToken ct) => _real.Value?.OnTickAsync(now, output, ct) ?? default;

    /// <inheritdoc />
    protected internal override ValueTask FlushAsync(bool end, Emitter<JsonElement> output, CancellationToken ct) => _real.Value?.FlushAsync(end, output, ct) ?? default;

    /// <inheritdoc />
    protected internal override ValueTask CommitAsync(CancellationToken ct) => _real.Value?.CommitAsync(ct) ?? default;

    /// <inheritdoc />
    protected internal override ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct) => _real.IsValueCreated && _real.Value is { } made ? made.CleanupAsync(ctx, ct) : default;

    internal override async ValueTask HandleAsync(int port, Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        if (answers.Of(e) is { } answer)
        {
            await answer.GiveAsync(e, _isReply, output, ct).ConfigureAwait(true);
            return;
        }

        try
        {
            var before = output.Count;
            await _real.Value!.HandleAsync(port, e, output, ct).ConfigureAwait(true);
            answers.Keep(e, new Answer([.. Enumerable.Range(before, output.Count - before).Select(i => (output.PortOf(i), output[i].Data))]));
        }
        catch (ItemException error)
        {
            answers.Keep(e, new Answer([], error));
            throw;
        }
    }
}
