using Loom.Components;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>Does with a record that cannot be read what the source's <c>on_bad_line</c> says.</summary>
/// <param name="rule">What to do.</param>
/// <param name="ctx">The source.</param>
/// <param name="log">Where a record that is left out is told.</param>
internal sealed partial class BadLines(BadLine rule, SetupContext ctx, ILogger log)
{
    /// <summary>Returns when the record is to be left out.</summary>
    /// <param name="what">Which record, and what is wrong with it.</param>
    /// <param name="error">What the parser said, or null.</param>
    /// <exception cref="ItemException">It is an item error.</exception>
    /// <exception cref="InvalidDataException">The component is to fail.</exception>
    public void Take(string what, Exception? error)
    {
        ctx.Metrics.Count("bad_lines");
        switch (rule)
        {
            case BadLine.Skip:
                LogSkipped(log, ctx.Name, what);
                break;
            case BadLine.Fail:
                throw new InvalidDataException($"{what}; mend the input, or set on_bad_line to dead_letter or skip");
            default:
                throw new ItemException("bad_line", what, ErrorClass.Permanent, error);
        }
    }

    [LoggerMessage(EventId = 4300, Level = LogLevel.Warning, Message = "{Component}: left out {What}")]
    private static partial void LogSkipped(ILogger logger, string component, string what);
}
