using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Components.Options;
using Loom.Harness.Execution;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Control;

/// <summary>
/// Carries out operations on one component, whoever asks: a control stream, or a person by the API. Each is written to the log and counted, also one that is refused. Called by any thread; the component
/// takes notice between two events.
/// </summary>
internal sealed partial class ComponentControls(LoopContext loop, RateDial rate, ILogger log)
{
    private readonly Lock _lock = new();

    /// <summary>Where the component stands in its life.</summary>
    public Func<ComponentState> State { get; set; } = static () => ComponentState.Created;

    /// <summary>The options it has now, changed or not.</summary>
    public object? Options { get; private set; } = loop.Plan.Options;

    public RateDial Rate => rate;

    /// <summary>Carries out an operation.</summary>
    /// <param name="operation">What.</param>
    /// <param name="by">Who asks, for the audit.</param>
    /// <exception cref="ItemException">It cannot be carried out: <c>control_refused</c>, with the reason.</exception>
    public void Apply(ControlOperation operation, string by)
    {
        try
        {
            lock (_lock)
            {
                Do(operation, by);
            }
        }
        catch (ItemException e)
        {
            loop.Metrics.Count("control_refused");
            LogRefused(log, operation.Op, loop.Plan.Name, by, e.Message);
            throw;
        }

        loop.Metrics.Count("control_operations");
        LogDone(log, operation.Op, loop.Plan.Name, by, operation.ToJson().GetRawText());
    }

    private void Do(ControlOperation operation, string by)
    {
        if (State() is not (ComponentState.Initialized or ComponentState.Running or ComponentState.Paused or ComponentState.Restarting) and var state)
        {
            throw Refused($"{loop.Plan.Name} is {JsonNamingPolicy.SnakeCaseLower.ConvertName(state.ToString())}");
        }

        switch (operation.Op)
        {
            case ControlOperation.Pause:
                loop.Pause.Hold($"asked to pause by {by}");
                loop.Ask(Attention.Pause);
                break;
            case ControlOperation.Resume:
                // Nobody minds being told twice to go on.
                loop.Pause.Release();
                break;
            case ControlOperation.SetRate:
                if (!rate.IsWanted)
                {
                    throw Refused($"{loop.Plan.Name} has neither a chain nor a source's reads to hold back");
                }

                rate.Set(DialedRate.Of(operation.Rate!.Value, operation.Burst));
                break;
            case ControlOperation.SetConfig:
                Options = Changed(operation.Config!.Value);
                loop.Ask(Attention.Config);
                break;
        }
    }

    private object Changed(JsonElement changes)
    {
        if (loop.Plan.Descriptor.Options is not { } type || Options is null)
        {
            throw Refused($"{loop.Plan.Name} takes no config");
        }

        var findings = new FindingList();
        var changed = new OptionsBinder($"component \"{loop.Plan.Name}\"", findings).Change(type, Options, changes);
        return changed ?? throw Refused(string.Join("; ", findings.Sorted().Select(f => f.Message)));
    }

    private static ItemException Refused(string why) => new("control_refused", $"the control operation was refused: {why}");

    [LoggerMessage(EventId = 4060, Level = LogLevel.Information, Message = "control: {Operation} of {Component}, asked by {By}: {What}")]
    private static partial void LogDone(ILogger logger, string operation, string component, string by, string what);

    [LoggerMessage(EventId = 4061, Level = LogLevel.Warning, Message = "control: {Operation} of {Component}, asked by {By}, was refused: {Why}")]
    private static partial void LogRefused(ILogger logger, string operation, string component, string by, string why);
}
