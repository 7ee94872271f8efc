using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Loom.Control.Catalog;

namespace Loom.Control.Tasks;

/// <summary>Writes the request an engine is sent for a task. Pure.</summary>
internal static class TaskBody
{
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>What it asks of an engine.</summary>
    public static InferenceRoute RouteOf(TaskPlan plan) => plan.Workload switch
    {
        Workload.Embedding => InferenceRoute.Embeddings,
        Workload.Rerank => InferenceRoute.Rerank,
        _ => plan.Messages is null ? InferenceRoute.Completions : InferenceRoute.Chat,
    };

    /// <summary>The request's JSON.</summary>
    /// <param name="plan">The task.</param>
    /// <param name="modelJson">Name the engine knows its model by, as JSON.</param>
    /// <param name="askUsage">Whether the engine can be asked for usage at the end of a stream.</param>
    public static byte[] Write(TaskPlan plan, ReadOnlySpan<byte> modelJson, bool askUsage)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using var json = new Utf8JsonWriter(buffer, s_json);
        json.WriteStartObject();
        json.WritePropertyName("model"u8);
        json.WriteRawValue(modelJson);
        if (plan.Workload == Workload.Completion)
        {
            WriteCompletion(json, plan, askUsage);
        }
        else
        {
            WriteTexts(json, plan);
        }

        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteCompletion(Utf8JsonWriter json, TaskPlan plan, bool askUsage)
    {
        if (plan.Messages is { } messages)
        {
            json.WritePropertyName("messages"u8);
            messages.WriteTo(json);
        }
        else
        {
            json.WriteString("prompt"u8, plan.Prompt);
        }

        json.WriteNumber("max_tokens"u8, plan.MaxTokens);
        if (plan.Seed is { } seed)
        {
            json.WriteNumber("seed"u8, seed);
        }

        json.WriteBoolean("stream"u8, true);
        if (askUsage)
        {
            json.WriteStartObject("stream_options"u8);
            json.WriteBoolean("include_usage"u8, true);
            json.WriteEndObject();
        }
    }

    private static void WriteTexts(Utf8JsonWriter json, TaskPlan plan)
    {
        if (plan.Workload == Workload.Rerank)
        {
            json.WriteString("query"u8, plan.Prompt);
            json.WritePropertyName("documents"u8);
            plan.Inputs!.Value.WriteTo(json);
            return;
        }

        json.WritePropertyName("input"u8);
        if (plan.Inputs is { } inputs)
        {
            inputs.WriteTo(json);
        }
        else
        {
            json.WriteStringValue(plan.Prompt);
        }
    }
}
