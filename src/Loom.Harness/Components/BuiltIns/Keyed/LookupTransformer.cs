using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Transform;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>What is asked of a store.</summary>
internal enum StoreOp
{
    Get,
    Put,
    Delete,
}

/// <summary>What happens with an event whose key the store does not have.</summary>
internal enum NotFound
{
    /// <summary>The field becomes null.</summary>
    Null,

    /// <summary>The item fails with <c>not_found</c>.</summary>
    Error,

    /// <summary>The event is left out.</summary>
    Drop,
}

/// <summary>Settings of <c>lookup</c>.</summary>
internal sealed record LookupOptions : IValidatableObject
{
    [Description("The key in the store, for instance data.user.")]
    public required Expression Key { get; init; }

    [Description("get adds what the store has to the payload; put stores a value and delete takes one away, and the event goes on unchanged once the store has confirmed it.")]
    public StoreOp Op { get; init; }

    [Description("get: the field that takes the value; the other fields of the payload stay.")]
    public string Into { get; init; } = "found";

    [Description("put: what is stored; the whole payload by default.")]
    public Expression Value { get; init; } = Expression.Compile("data");

    [Description("get: what happens where the store has no such key: null (the field becomes null), error or drop.")]
    public NotFound OnMissing { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Into.Length == 0)
        {
            yield return new ValidationResult("into names a field", [nameof(Into)]);
        }
    }
}

/// <summary>Asks a store about each event.</summary>
[Component("lookup", Type = ComponentType.Transformer, Concurrency = 16,
    Summary = "Asks a store, bound to its port store, about each event: adds what is kept under a key to the payload, or stores or deletes it. Sixteen events at once unless concurrency says otherwise.")]
[Asks(StorePort)]
internal sealed class LookupTransformer(LookupOptions options) : Transformer<JsonElement, JsonElement>
{
    private const string StorePort = "store";

    private IAsk? _store;

    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _store = ctx.Ask(StorePort);
        return default;
    }

    protected override async ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        var request = StoreRequest.Write(options.Op, options.Key.Key(e), options.Op == StoreOp.Put ? options.Value.Evaluate(e) : default);
        var answer = await _store!.AskAsync(e.With(request), ct).ConfigureAwait(false);
        if (answer.TryGetProperty("error"u8, out var error))
        {
            throw new ItemException("store_error", error.GetString()!, answer.TryGetProperty("transient"u8, out var transient) && transient.GetBoolean() ? ErrorClass.Transient : ErrorClass.Permanent);
        }

        if (options.Op != StoreOp.Get)
        {
            await output.SendAsync(e, ct).ConfigureAwait(false);
            return;
        }

        var found = answer.GetProperty("found"u8).GetBoolean();
        if (!found && options.OnMissing == NotFound.Error)
        {
            throw new ItemException("not_found", $"the store has nothing under {options.Key.Text}");
        }

        if (found || options.OnMissing == NotFound.Null)
        {
            await output.SendAsync(e.Derive(Payloads.With(e.Data, options.Into, answer.GetProperty("value"u8))), ct).ConfigureAwait(false);
        }
    }
}
