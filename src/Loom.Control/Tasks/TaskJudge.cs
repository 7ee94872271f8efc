using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Loom.Control.Placement;
using Loom.Core.Queues;
using Loom.Core.Settings;
using Loom.Core.Web;

namespace Loom.Control.Tasks;

/// <summary>Judges the body of a task. Pure; every refusal names the field, what it is and what it may be.</summary>
internal static class TaskJudge
{
    private const int LongestDeadlineMs = 86_400_000;
    private const int MostTokens = 10_000_000;
    private const int MostInputs = 2048;
    private const int MostPools = 64;
    private const int TemplateTokens = 32;

    private static readonly string[] s_engines = ["any", "embedded", "llama-server", "openai", "command", "mock"];

    /// <summary>Fills in defaults.</summary>
    /// <param name="request">The body.</param>
    /// <param name="newSession">Makes the id of a session when none is named.</param>
    /// <exception cref="ProblemException">400.</exception>
    public static TaskPlan Judge(TaskRequest request, Func<string> newSession)
    {
        var model = Required(request.ModelRef, "model_ref");
        var workload = (Workload)OneOf(request.Workload, "workload", ["completion", "embedding", "rerank"], 0);
        CheckContent(request, workload);
        if (request.TaskId is { } id && !IsId(id))
        {
            throw Wrong("task_id", id, "1 to 128 letters, digits and . _ : -");
        }

        if (request.SessionId is { } session && !Guid.TryParse(session, out _))
        {
            throw Wrong("session_id", session, "a UUID");
        }

        Range(request.Ctx, "ctx", 1, MostTokens);
        Range(request.MaxTokens, "max_tokens", 1, MostTokens);
        Range(request.DeadlineMs, "deadline_ms", 1, LongestDeadlineMs);
        Range(request.ExpectedTokens, "expected_tokens", 0, MostTokens);
        Text(request.SamplerProfileVersion, "sampler_profile_version");
        var engine = OneOf(request.Engine, "engine", s_engines, 0);
        var strict = OneOf(request.Determinism, "determinism", ["best_effort", "strict"], 0) == 1;
        return new TaskPlan
        {
            ModelRef = model,
            Workload = workload,
            Prompt = request.Prompt,
            Messages = request.Messages,
            Inputs = request.Inputs,
            SessionId = request.SessionId ?? newSession(),
            OwnSession = request.SessionId is not null,
            Class = OneOf(request.Priority, "priority", ["interactive", "batch"], 0) == 1 ? QueueClass.Batch : QueueClass.Interactive,
            MaxTokens = workload == Workload.Completion ? request.MaxTokens ?? 512 : 0,
            DeadlineMs = request.DeadlineMs,
            Seed = request.Seed ?? (strict ? 0 : null),
            Strict = strict,
            ReuseKv = OneOf(request.KvHint, "kv_hint", ["reuse", "cold"], request.SessionId is null ? 1 : 0) == 0,
            Placement = WishOf(request, engine == 0 ? null : s_engines[engine]),
            PromptBytes = SizeOf(request),
        };
    }

    /// <summary>Whether a text can be an id: it may become a part of a path.</summary>
    public static bool IsId(string id) =>
        id.Length is > 0 and <= 128 && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or ':' or '-') && id is not ("." or "..");

    private static void CheckContent(TaskRequest request, Workload workload)
    {
        if (request.Messages is { } messages)
        {
            CheckMessages(messages);
        }

        if (request.Inputs is { } inputs)
        {
            CheckInputs(inputs);
        }

        var (wanted, given) = workload switch
        {
            Workload.Completion => ("either 'prompt' or 'messages'", request.Inputs is null && request.Prompt is null != request.Messages is null),
            Workload.Embedding => ("'inputs', or one 'prompt'", request.Messages is null && request.Prompt is null != request.Inputs is null),
            _ => ("'prompt' (the query) and 'inputs' (the texts)", request.Messages is null && request.Prompt is not null && request.Inputs is not null),
        };
        if (!given)
        {
            var found = new[] { (request.Prompt is not null, "prompt"), (request.Messages is not null, "messages"), (request.Inputs is not null, "inputs") }
                .Where(f => f.Item1).Select(f => $"'{f.Item2}'").ToList();
            var word = workload.ToString().ToLowerInvariant();
            throw new ProblemException(Problem.Invalid("prompt", $"a task of workload '{word}' needs {wanted}, but has {(found.Count == 0 ? "none of them" : string.Join(" and ", found))}"));
        }
    }

    private static void CheckMessages(JsonElement messages)
    {
        if (messages.ValueKind != JsonValueKind.Array || messages.GetArrayLength() == 0)
        {
            throw new ProblemException(Problem.Invalid("messages", "'messages' must be a list of at least one message"));
        }

        var i = 0;
        foreach (var message in messages.EnumerateArray())
        {
            if (message.ValueKind != JsonValueKind.Object || !message.TryGetProperty("role", out var role) || role.ValueKind != JsonValueKind.String)
            {
                throw new ProblemException(Problem.Invalid($"messages[{i}].role", $"'messages[{i}]' must be an object with a text 'role'"));
            }

            if (message.TryGetProperty("content", out var content) && content.ValueKind is not (JsonValueKind.String or JsonValueKind.Array or JsonValueKind.Null))
            {
                throw new ProblemException(Problem.Invalid($"messages[{i}].content", $"'messages[{i}].content' must be a text or a list of parts"));
            }

            i++;
        }
    }

    private static void CheckInputs(JsonElement inputs)
    {
        if (inputs.ValueKind != JsonValueKind.Array || inputs.GetArrayLength() is 0 or > MostInputs)
        {
            throw new ProblemException(Problem.Invalid("inputs", $"'inputs' must be a list of 1 to {MostInputs} texts"));
        }

        var i = 0;
        foreach (var input in inputs.EnumerateArray())
        {
            if (input.ValueKind != JsonValueKind.String)
            {
                throw new ProblemException(Problem.Invalid($"inputs[{i}]", $"'inputs[{i}]' must be a text"));
            }

            i++;
        }
    }

    private static PlacementWish? WishOf(TaskRequest request, string? engine)
    {
        if (request.Placement is not { } placement)
        {
            return engine is null && request.Ctx is null ? null : new PlacementWish { EngineKind = engine, Ctx = request.Ctx };
        }

        var mode = OneOf(placement.Mode, "placement.mode", ["auto", "prefer", "pin"], placement.PinPoolId is not null ? 2 : placement.PreferPools is not null ? 1 : 0);
        if (mode == 2 && placement.PinPoolId is null)
        {
            throw new ProblemException(Problem.Invalid("placement.pin_pool_id", "mode 'pin' needs 'placement.pin_pool_id', the pool to run on"));
        }

        if (mode == 1 && placement.PreferPools is not { Length: > 0 })
        {
            throw new ProblemException(Problem.Invalid("placement.prefer_pools", "mode 'prefer' needs 'placement.prefer_pools', the pools to try first"));
        }

        if (placement.PinPoolId is { } pin && !IsId(pin))
        {
            throw Wrong("placement.pin_pool_id", pin, "the name of a pool");
        }

        var devices = (placement.RequireDeviceMask ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        Text(placement.RequireDeviceMask, "placement.require_device_mask");
        return new PlacementWish
        {
            EngineKind = engine,
            Ctx = request.Ctx,
            Devices = [.. devices],
            PinPool = mode == 2 ? placement.PinPoolId : null,
            PreferPools = mode == 1 ? Pools(placement.PreferPools, "placement.prefer_pools") : [],
            AvoidPools = Pools(placement.AvoidPools, "placement.avoid_pools"),
            AllowFallback = placement.AllowFallback ?? true,
        };
    }

    private static ImmutableArray<string> Pools(ImmutableArray<string>? pools, string field)
    {
        if (pools is not { IsDefault: false } list)
        {
            return [];
        }

        if (list.Length > MostPools)
        {
            throw new ProblemException(Problem.Invalid(field, $"'{field}' names {list.Length} pools; at most {MostPools} are read"));
        }

        for (var i = 0; i < list.Length; i++)
        {
            if (list[i] is null || !IsId(list[i]))
            {
                throw Wrong($"{field}[{i}]", list[i] ?? "null", "the name of a pool");
            }
        }

        return list;
    }

    private static int SizeOf(TaskRequest request)
    {
        var bytes = request.Prompt is { } prompt ? Encoding.UTF8.GetByteCount(prompt) : 0;
        if (request.Messages is { } messages)
        {
            bytes += Encoding.UTF8.GetByteCount(messages.GetRawText()) + TemplateTokens;
        }

        if (request.Inputs is { } inputs)
        {
            bytes += Encoding.UTF8.GetByteCount(inputs.GetRawText());
        }

        return bytes;
    }

    private static string Required(string? value, string field) =>
        string.IsNullOrEmpty(value) ? throw new ProblemException(Problem.Invalid(field, $"'{field}' is missing")) : value;

    private static int OneOf(string? value, string field, ReadOnlySpan<string> allowed, int absent)
    {
        if (value is null)
        {
            return absent;
        }

        var at = allowed.IndexOf(value);
        return at >= 0 ? at : throw Wrong(field, value, $"one of {string.Join(", ", allowed.ToArray())}");
    }

    private static void Range(int? value, string field, int min, int max)
    {
        if (value < min || value > max)
        {
            throw Wrong(field, value.Value.ToString(CultureInfo.InvariantCulture), $"an integer from {min} to {max}");
        }
    }

    private static void Text(string? value, string field)
    {
        if (value is { Length: > 256 })
        {
            throw new ProblemException(Problem.Invalid(field, $"'{field}' has {value.Length} characters; at most 256 are allowed"));
        }
    }

    private static ProblemException Wrong(string field, string value, string allowed) =>
        new(Problem.Invalid(field, $"'{field}' is '{Redaction.Plain(value)}', must be {allowed}"));
}
