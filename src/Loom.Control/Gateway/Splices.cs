using System.Collections.Immutable;

namespace Loom.Control.Gateway;

/// <summary>Decides what changes in a request on its way to the engine. Pure.</summary>
internal static class Splices
{
    private static readonly byte[] s_field = "\"stream_options\":{\"include_usage\":true},"u8.ToArray();
    private static readonly byte[] s_object = "{\"include_usage\":true}"u8.ToArray();
    private static readonly byte[] s_flag = "\"include_usage\":true"u8.ToArray();
    private static readonly byte[] s_flagAndMore = "\"include_usage\":true,"u8.ToArray();
    private static readonly byte[] s_true = "true"u8.ToArray();

    /// <summary>The splices of a request, in order of place.</summary>
    /// <param name="request">What the scan found.</param>
    /// <param name="upstreamModel">The engine's own model name as JSON; null keeps the client's.</param>
    /// <param name="askUsage">Whether a streamed answer must report usage.</param>
    public static ImmutableArray<Splice> Of(in ScannedRequest request, byte[]? upstreamModel, bool askUsage)
    {
        var usage = askUsage && request.Stream && request.Usage != UsageAsk.Asked;
        if (request.ModelName.Equals(default))
        {
            // The client named none, and the engine has only one.
            upstreamModel = null;
        }

        if (!usage && upstreamModel is null)
        {
            return [];
        }

        var list = ImmutableArray.CreateBuilder<Splice>(2);
        if (usage)
        {
            var text = request.Usage switch
            {
                UsageAsk.NoOptions => s_field,
                UsageAsk.EmptyOptions => s_flag,
                UsageAsk.OtherOptions => s_flagAndMore,
                UsageAsk.Declined => s_true,
                _ => s_object,
            };
            list.Add(new Splice(request.UsagePlace.Start.Value, request.UsagePlace.End.Value, text));
        }

        if (upstreamModel is not null)
        {
            // The name's range excludes its quotes.
            var splice = new Splice(request.ModelName.Start.Value - 1, request.ModelName.End.Value + 1, upstreamModel);
            list.Insert(list.Count > 0 && list[0].Start > splice.Start ? 0 : list.Count, splice);
        }

        return list.ToImmutable();
    }
}
