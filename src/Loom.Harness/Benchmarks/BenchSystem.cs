using System.Text.Json;
using Loom.Harness.Architecture;
using Loom.Harness.Checkpoints;
using Loom.Harness.Errors;
using Loom.Harness.Execution;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Harness.Benchmarks;

/// <summary>Puts a system made in code together as a run does, without files.</summary>
internal static class BenchSystem
{
    /// <param name="plan">The system.</param>
    /// <param name="create">Makes its components.</param>
    /// <param name="time">Clock.</param>
    /// <param name="state">Where state is kept; null: nowhere.</param>
    /// <param name="checkpointInterval">Between two checkpoints.</param>
    public static SystemAssembly Assemble(
        SystemPlan plan, Func<ComponentPlan, Loom.Components.Component> create, TimeProvider time, StateHome? state = null, TimeSpan? checkpointInterval = null) =>
        new(plan, new RunMaterials
        {
            Time = time,
            Random = new Random(1),
            Logs = NullLoggerFactory.Instance,
            Times = new LifecycleTimes(),
            Create = create,
            CreateCapability = static c => throw new NotSupportedException(c.Name),
            DeadLetters = new Refuse(),
            Describe = static f => JsonSerializer.SerializeToElement(f.Error.Message, PlainText.Default.String),
            State = state,
            Checkpoints = new CheckpointTimes(checkpointInterval ?? TimeSpan.FromHours(1), null),
            GraphHash = "bench",
            Run = "bench",
        });

    /// <summary>Runs it to its end and says how long that took.</summary>
    /// <exception cref="InvalidOperationException">It did not end well.</exception>
    public static async Task<TimeSpan> RunAsync(SystemAssembly assembly, TimeProvider time, CancellationToken ct)
    {
        var start = time.GetTimestamp();
        var result = await assembly.Run.RunAsync(new RunTokens(CancellationToken.None, ct)).ConfigureAwait(false);
        var took = time.GetElapsedTime(start);
        return result.ExitCode == 0 ? took : throw new InvalidOperationException($"the system of a benchmark failed: {result.Reason}");
    }

    private sealed class Refuse : IErrorDestination
    {
        public ValueTask TakeAsync(ItemFailure failure, CancellationToken ct) => throw new InvalidOperationException("no event of a benchmark fails", failure.Error);
    }
}

[System.Text.Json.Serialization.JsonSerializable(typeof(string))]
internal sealed partial class PlainText : System.Text.Json.Serialization.JsonSerializerContext;
