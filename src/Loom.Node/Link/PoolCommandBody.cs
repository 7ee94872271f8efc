using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Loom.Core.Handoff;
using Loom.Core.Web;
using Loom.Wire;

namespace Loom.Node.Link;

/// <summary>Reads the body of <c>POST /v2/pools/{id}/…</c>: the fields of one <see cref="PoolCommand"/>, whose kind and pool stand in the path.</summary>
internal static class PoolCommandBody
{
    private static readonly JsonDocumentOptions s_document = new() { MaxDepth = 64, AllowDuplicateProperties = false };

    /// <exception cref="ProblemException">400 with the place of the error, or the nearest name of a field that is not known.</exception>
    public static PoolCommand Read(string word, string poolId, ReadOnlyMemory<byte> body) => word switch
    {
        "preload" => Read(NodeJson.Default.Preload, poolId, body) is { Prepared: { } prepared } preload
            ? preload with { Prepared = HandoffReader.Judge(prepared, poolId) }
            : Read(NodeJson.Default.Preload, poolId, body),
        "drain" => Read(NodeJson.Default.Drain, poolId, body),
        "undrain" => Read(NodeJson.Default.Undrain, poolId, body),
        "reload" => Read(NodeJson.Default.Reload, poolId, body),
        "purge" => Read(NodeJson.Default.Purge, poolId, body),
        "swap" => Read(NodeJson.Default.Swap, poolId, body),
        "fetch" => Read(NodeJson.Default.Fetch, poolId, body),
        "verify" => Read(NodeJson.Default.Verify, poolId, body),
        _ => throw new ArgumentOutOfRangeException(nameof(word), word, "no operation on a pool"),
    };

    private static T Read<T>(JsonTypeInfo<T> type, string poolId, ReadOnlyMemory<byte> body)
        where T : PoolCommand
    {
        var whole = new ArrayBufferWriter<byte>(body.Length + 64);
        using (var json = new Utf8JsonWriter(whole))
        {
            json.WriteStartObject();
            json.WriteString("pool_id"u8, poolId);
            CopyFields(body, json);
            json.WriteEndObject();
        }

        return JsonBody.Read(whole.WrittenMemory, type, strict: true);
    }

    private static void CopyFields(ReadOnlyMemory<byte> body, Utf8JsonWriter json)
    {
        if (body.IsEmpty)
        {
            return;
        }

        try
        {
            using var document = JsonDocument.Parse(body, s_document);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw new ProblemException(Problem.Invalid("", "the body is no JSON object"));
            }

            // The control plane sends the whole command.
            foreach (var field in document.RootElement.EnumerateObject().Where(f => f.Name is not ("kind" or "pool_id")))
            {
                field.WriteTo(json);
            }
        }
        catch (JsonException e)
        {
            throw new ProblemException(Problem.Invalid("", $"the body cannot be read: line {e.LineNumber + 1}, column {e.BytePositionInLine + 1}"));
        }
    }
}
