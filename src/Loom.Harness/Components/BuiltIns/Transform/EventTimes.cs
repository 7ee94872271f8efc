using System.Text.Json;
using Loom.Components;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Transform;

/// <summary>Reads the time of an event out of its payload.</summary>
internal static class EventTimes
{
    /// <summary>A timestamp, its text, or seconds since 1970.</summary>
    /// <exception cref="ItemException">It is none of these: <c>expression_error</c>.</exception>
    public static DateTimeOffset Of(Expression time, in Event<JsonElement> e)
    {
        var value = time.Run(e);
        switch (value.Kind)
        {
            case Kind.Timestamp:
                return value.Timestamp;
            case Kind.String when TimeText.TryParseTimestamp(value.String, out var parsed):
                return parsed;
            case Kind.Int or Kind.Double when value.Double is >= -62135596800.0 and < 253402300800.0:
                return DateTimeOffset.UnixEpoch.AddTicks(value.Kind == Kind.Int ? value.Int * TimeSpan.TicksPerSecond : (long)(value.Double * TimeSpan.TicksPerSecond));
            default:
                throw new ItemException("expression_error",
                    $"{time.Text} is no time: a timestamp, its text in RFC 3339 or seconds since 1970 is wanted, and it is {value.Kind.Name()}");
        }
    }
}
