using System.Globalization;
using Loom.Components;

namespace Loom.Harness.Components.BuiltIns.Web;

/// <summary>What an HTTP status means for the next attempt.</summary>
internal static class HttpClasses
{
    /// <summary>The class of a status that is no success.</summary>
    public static ErrorClass Of(int status) => status switch
    {
        401 or 402 or 403 or 404 or 407 => ErrorClass.Configuration,
        408 or 425 or 429 or >= 500 => ErrorClass.Transient,
        _ => ErrorClass.Permanent,
    };

    /// <summary>How long the other side asked to be left alone: <c>retry-after-ms</c>, or <c>Retry-After</c> in seconds or as a date; at most an hour.</summary>
    public static TimeSpan? RetryAfter(HttpResponseMessage response, TimeProvider time)
    {
        foreach (var name in (ReadOnlySpan<string>)["retry-after-ms", "X-Backoff-Ms"])
        {
            if (response.Headers.TryGetValues(name, out var values)
                && double.TryParse(values.First(), NumberStyles.Float, CultureInfo.InvariantCulture, out var ms) && ms >= 0)
            {
                return Capped(TimeSpan.FromMilliseconds(Math.Min(ms, 3_600_000)));
            }
        }

        return response.Headers.RetryAfter switch
        {
            { Delta: { } wait } => Capped(wait),
            { Date: { } date } => Capped(date - time.GetUtcNow()),
            _ => null,
        };
    }

    private static TimeSpan Capped(TimeSpan wait) => wait < TimeSpan.Zero ? TimeSpan.Zero : wait > TimeSpan.FromHours(1) ? TimeSpan.FromHours(1) : wait;
}
