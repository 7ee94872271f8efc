using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Schemas;
using Microsoft.Extensions.AI;

namespace Loom.Harness.Components.BuiltIns.Models;

/// <summary>Asks a language model about each event.</summary>
[Component("llm", Type = ComponentType.Model, SideEffects = true, Concurrency = 4,
    Summary = "Asks a language model and adds its answer to the payload, four events at once unless concurrency says otherwise. A repeated event is asked again. Answers of a mock make mock events.")]
internal sealed class LlmComponent(LlmOptions options, IModelClients models, ComponentPlan? plan = null) : Transformer<JsonElement, JsonElement>
{
    private readonly JsonSchemaValidator? _schema = options.Schema is { } schema ? JsonSchemaValidator.Compile(schema) : null;
    // Of the capability LLMProvider: what the component itself leaves open.
    private readonly LlmProviderSettings _provider = plan?.Capabilities.Select(c => c.Options).OfType<LlmProviderSettings>().FirstOrDefault() ?? new LlmProviderSettings();
    private ChatOptions _asked = AskedBy(options);
    private double _cost;
    private IChatClient _model = null!;
    private IComponentMetrics _metrics = null!;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _metrics = ctx.Metrics;
        _model = models.Chat(options.Provider ?? _provider.Provider);
        _asked.ModelId ??= _provider.Model;
        return default;
    }

    /// <inheritdoc />
    protected internal override ValueTask ReconfigureAsync(object changed, CancellationToken ct)
    {
        options = (LlmOptions)changed;
        var asked = AskedBy(options);
        asked.ModelId ??= _provider.Model;
        _asked = asked;
        return default;
    }

    /// <inheritdoc />
    protected override async ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        var response = await _model.GetResponseAsync(MessagesOf(e), _asked, ct).ConfigureAwait(false);
        Count("prompt_tokens", response.Usage?.InputTokenCount);
        Count("completion_tokens", response.Usage?.OutputTokenCount);
        CountCost(response.Usage);
        if (response.FinishReason == ChatFinishReason.Length)
        {
            Count("answers_cut", 1);
        }

        var text = response.Text;
        var answer = _schema is null ? (JsonElement?)null : Fitting(text, response.FinishReason);
        var data = PayloadFields.Add(e.Data, options.Into, (text, answer), static (json, state) =>
        {
            if (state.answer is { } value)
            {
                value.WriteTo(json);
            }
            else
            {
                json.WriteStringValue(state.text);
            }
        });
        var made = e.Derive(data);
        var mock = response.AdditionalProperties?.ContainsKey(HttpChatClient.MockMark) == true;
        await output.SendAsync(mock ? made.AsMock() : made, ct).ConfigureAwait(false);
    }

    private static ChatOptions AskedBy(LlmOptions options) => new()
    {
        ModelId = options.Model,
        MaxOutputTokens = options.MaxTokens,
        Temperature = (float?)options.Temperature,
        Seed = options.Seed,
        StopSequences = options.Stop.Count > 0 ? [.. options.Stop] : null,
        ResponseFormat = options.Schema is { } form ? ChatResponseFormat.ForJsonSchema(form, "answer") : null,
    };

    private List<ChatMessage> MessagesOf(in Event<JsonElement> e)
    {
        var messages = new List<ChatMessage>(2);
        if (options.System is { } system)
        {
            messages.Add(new ChatMessage(ChatRole.System, system.Render(e)));
        }

        if (options.MessagesFrom is { } from)
        {
            Read(from.Evaluate(e), messages);
        }
        else if (options.Messages.Count > 0)
        {
            foreach (var message in options.Messages)
            {
                messages.Add(new ChatMessage(new ChatRole(message.Role), message.Content.Render(e)));
            }
        }
        else
        {
            messages.Add(new ChatMessage(ChatRole.User, options.Prompt?.Render(e) ?? PromptOf(e.Data)));
        }

        return messages;
    }

    private static string PromptOf(JsonElement data)
    {
        var prompt = data.ValueKind == JsonValueKind.Object && data.TryGetProperty("prompt"u8, out var field) ? field : data;
        return prompt.ValueKind == JsonValueKind.String
            ? prompt.GetString()!
            : throw new ItemException("missing_field", "the payload is neither text nor an object with a text \"prompt\"; set prompt, messages or messages_from");
    }

    private static void Read(JsonElement list, List<ChatMessage> into)
    {
        var faulty = list.ValueKind != JsonValueKind.Array || list.GetArrayLength() == 0;
        foreach (var message in faulty ? default : list.EnumerateArray())
        {
            if (message.ValueKind == JsonValueKind.Object && message.TryGetProperty("role"u8, out var role) && role.ValueKind == JsonValueKind.String
                && message.TryGetProperty("content"u8, out var content) && content.ValueKind == JsonValueKind.String)
            {
                into.Add(new ChatMessage(new ChatRole(role.GetString()!), content.GetString()));
            }
            else
            {
                faulty = true;
            }
        }

        if (faulty)
        {
            throw new ItemException("bad_messages", "messages_from must give a list of objects with a text role and a text content");
        }
    }

    private JsonElement Fitting(string text, ChatFinishReason? finish)
    {
        JsonElement answer;
        try
        {
            answer = JsonElement.Parse(Unfenced(text));
        }
        catch (JsonException error)
        {
            var why = finish == ChatFinishReason.Length ? "the answer was cut at max_tokens; allow more" : $"the answer is no JSON: {error.Message}";
            throw new ItemException("answer_no_json", why, finish == ChatFinishReason.Length ? ErrorClass.Permanent : ErrorClass.Transient, error);
        }

        return _schema!.Check(answer) is { } fault
            ? throw new ItemException("answer_schema", $"the answer does not fit the schema: {fault}", ErrorClass.Transient)
            : answer;
    }

    // Models like to wrap JSON in a Markdown fence.
    private static ReadOnlySpan<char> Unfenced(string text)
    {
        var plain = text.AsSpan().Trim();
        if (plain.StartsWith("```") && plain.EndsWith("```") && plain.IndexOf('\n') is var first and > 0)
        {
            plain = plain[(first + 1)..^3].Trim();
        }

        return plain;
    }

    private void CountCost(UsageDetails? usage)
    {
        if (_provider is { PromptPrice: null, CompletionPrice: null } || usage is null)
        {
            return;
        }

        var cost = (((usage.InputTokenCount ?? 0) * (_provider.PromptPrice ?? 0)) + ((usage.OutputTokenCount ?? 0) * (_provider.CompletionPrice ?? 0))) / 1e6;
        double before;
        do
        {
            before = Volatile.Read(ref _cost);
        }
        while (Interlocked.CompareExchange(ref _cost, before + cost, before) != before);
        _metrics.Set("cost_total", before + cost);
    }

    private void Count(string name, long? by)
    {
        if (by is > 0)
        {
            _metrics.Count(name, by.Value);
        }
    }
}
