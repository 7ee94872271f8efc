using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Expressions;
using Microsoft.Extensions.AI;

namespace Loom.Harness.Components.BuiltIns.Models;

/// <summary>Settings of <c>embed</c>.</summary>
internal sealed record EmbedOptions
{
    [Description("Model or pool that is asked for; left out: the provider's own default.")]
    public string? Model { get; init; }

    [Description("Name of an [llm.NAME] of the project; left out: Loom's own API, the gateway.")]
    public string? Provider { get; init; }

    [Description("The text, an expression.")]
    public Expression Text { get; init; } = Expression.Compile("$.text");

    [Description("Field of the payload that takes the vector, a list of numbers; empty: the vector alone becomes the payload.")]
    public string Into { get; init; } = "embedding";

    [Range(1, 1_000_000)]
    [Description("Length of the vectors, where the model lets one choose.")]
    public int? Dimensions { get; init; }

    [Range(1, 10_000)]
    [Description("Most texts in one request; a larger batch of events makes several.")]
    public int RequestTexts { get; init; } = 32;
}

/// <summary>Makes a vector of each event's text.</summary>
[Component("embed", Type = ComponentType.Model, SideEffects = true, BatchItems = 32,
    Summary = "Turns the text of each event into a vector and adds it to the payload, in batches of 32 unless batching says otherwise. Vectors of a mock make mock events.")]
internal sealed class EmbedComponent(EmbedOptions options, IModelClients models) : Transformer<JsonElement, JsonElement>
{
    private readonly EmbeddingGenerationOptions _asked = new() { ModelId = options.Model, Dimensions = options.Dimensions };
    private IEmbeddingGenerator<string, Embedding<float>> _model = null!;
    private IComponentMetrics _metrics = null!;

    /// <inheritdoc />
    protected internal override bool HandlesBatches => true;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _metrics = ctx.Metrics;
        _model = models.Embeddings(options.Provider);
        return default;
    }

    /// <inheritdoc />
    protected override async ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        var (vectors, mock) = await AskAsync([TextOf(e)], ct).ConfigureAwait(false);
        await output.SendAsync(With(e, vectors[0], mock), ct).ConfigureAwait(false);
    }

    /// <inheritdoc />
    protected override async ValueTask OnBatchAsync(Batch<JsonElement> batch, BatchEmitter<JsonElement> output, CancellationToken ct)
    {
        var texts = new List<string>(batch.Count);
        var members = new List<int>(batch.Count);
        for (var i = 0; i < batch.Count; i++)
        {
            try
            {
                texts.Add(TextOf(batch[i]));
                members.Add(i);
            }
            catch (ItemException error)
            {
                output.Fail(i, error);
            }
        }

        for (var from = 0; from < texts.Count; from += options.RequestTexts)
        {
            var count = Math.Min(options.RequestTexts, texts.Count - from);
            var (vectors, mock) = await AskAsync(texts.GetRange(from, count), ct).ConfigureAwait(false);
            for (var i = 0; i < count; i++)
            {
                var member = members[from + i];
                output.Send(member, With(batch[member], vectors[i], mock));
            }
        }
    }

    private string TextOf(in Event<JsonElement> e)
    {
        var text = options.Text.Evaluate(e);
        return text.ValueKind == JsonValueKind.String
            ? text.GetString()!
            : throw new ItemException("no_text", $"{options.Text.Text} gives {text.ValueKind.ToString().ToLowerInvariant()}, and only text becomes a vector");
    }

    private async Task<(GeneratedEmbeddings<Embedding<float>> Vectors, bool Mock)> AskAsync(List<string> texts, CancellationToken ct)
    {
        var made = await _model.GenerateAsync(texts, _asked, ct).ConfigureAwait(false);
        if (made.Count != texts.Count)
        {
            throw new ItemException("bad_answer", $"{texts.Count} texts gave {made.Count} vectors", ErrorClass.Transient);
        }

        if (made.Usage?.InputTokenCount is { } tokens and > 0)
        {
            _metrics.Count("prompt_tokens", tokens);
        }

        return (made, made.AdditionalProperties?.ContainsKey(HttpChatClient.MockMark) == true);
    }

    private Event<JsonElement> With(in Event<JsonElement> e, Embedding<float> vector, bool mock)
    {
        var made = e.Derive(PayloadFields.Add(e.Data, options.Into, vector.Vector, static (json, numbers) =>
        {
            json.WriteStartArray();
            foreach (var number in numbers.Span)
            {
                json.WriteNumberValue(number);
            }

            json.WriteEndArray();
        }));
        return mock ? made.AsMock() : made;
    }
}
