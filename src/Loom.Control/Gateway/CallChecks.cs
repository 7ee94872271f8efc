using System.Globalization;
using System.Text;
using System.Text.Json;
using Loom.Control.Catalog;
using Loom.Core.Queues;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Gateway;

/// <summary>Reads what a request says about itself outside its body's fields, and refuses what makes no sense. Pure.</summary>
internal static class CallChecks
{
    private const int LongestDeadlineMs = 24 * 3600 * 1000;

    /// <summary>
    /// Whether the body may be taken for JSON. Besides JSON types: none at all, and what <c>curl -d</c> sends unless told otherwise.
    /// </summary>
    public static Problem? ContentType(string? contentType)
    {
        if (string.IsNullOrEmpty(contentType) || contentType.StartsWith("application/json", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var type = contentType.AsSpan();
        var end = type.IndexOf(';');
        type = (end < 0 ? type : type[..end]).Trim();
        return type.EndsWith("+json", StringComparison.OrdinalIgnoreCase) || type.Equals("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase)
            ? null
            : new Problem(ProblemCode.UnsupportedMediaType, $"content type '{type}' is not supported; send application/json");
    }

    /// <summary>Class of a request: header <c>x-loom-priority</c>, else <c>service_tier: flex</c> = batch, else interactive.</summary>
    public static Problem? Priority(string? header, bool flex, out QueueClass queueClass)
    {
        queueClass = flex ? QueueClass.Batch : QueueClass.Interactive;
        if (string.IsNullOrEmpty(header))
        {
            return null;
        }

        if (header.Equals("batch", StringComparison.OrdinalIgnoreCase) || header.Equals("interactive", StringComparison.OrdinalIgnoreCase))
        {
            queueClass = header.Equals("batch", StringComparison.OrdinalIgnoreCase) ? QueueClass.Batch : QueueClass.Interactive;
            return null;
        }

        return Problem.Invalid("x-loom-priority", $"header 'x-loom-priority' is '{header}', must be interactive or batch");
    }

    /// <summary>Header <c>x-loom-deadline-ms</c>, relative to arrival; null when there is none.</summary>
    public static Problem? Deadline(string? header, out TimeSpan? deadline)
    {
        deadline = null;
        if (string.IsNullOrEmpty(header))
        {
            return null;
        }

        if (int.TryParse(header, NumberStyles.None, CultureInfo.InvariantCulture, out var ms) && ms is >= 1 and <= LongestDeadlineMs)
        {
            deadline = TimeSpan.FromMilliseconds(ms);
            return null;
        }

        return Problem.Invalid("x-loom-deadline-ms", $"header 'x-loom-deadline-ms' is '{header}', must be an integer from 1 to {LongestDeadlineMs}");
    }

    /// <summary>Header <c>x-loom-session</c>: names the session the request is a turn of; null when there is none.</summary>
    public static Problem? Session(string? header, out string? session)
    {
        const int Longest = 128;
        session = string.IsNullOrEmpty(header) ? null : header;
        return session is null || (session.Length <= Longest && !session.AsSpan().ContainsAnyExceptInRange('!', '~') && !session.AsSpan().ContainsAny('/', '\\'))
            ? null
            : Problem.Invalid("x-loom-session", $"header 'x-loom-session' must be 1 to {Longest} visible characters without slashes");
    }

    /// <summary>Header <c>x-loom-kv-hint</c>: whether the replica of the session's last turn is preferred, which is the default.</summary>
    public static Problem? KvHint(string? header, out bool reuse)
    {
        reuse = !string.Equals(header, "cold", StringComparison.OrdinalIgnoreCase);
        return string.IsNullOrEmpty(header) || !reuse || string.Equals(header, "reuse", StringComparison.OrdinalIgnoreCase)
            ? null
            : Problem.Invalid("x-loom-kv-hint", $"header 'x-loom-kv-hint' is '{header}', must be reuse or cold");
    }

    /// <summary>Header <c>x-loom-resumable</c>, of a later build: whoever counts on it must not find out when the connection breaks.</summary>
    public static Problem? Resumable(string? header) => string.IsNullOrEmpty(header) || header == "0"
        ? null
        : Problem.Invalid("x-loom-resumable", "header 'x-loom-resumable': this build does not resume streams; leave it out, or use tasks (/v2/tasks), whose streams can be read again");

    /// <summary>Finds where the named model is served.</summary>
    public static Problem? Model(ReplicaSnapshot snapshot, ReadOnlySpan<byte> body, in ScannedRequest request, out ModelRoute? route)
    {
        if (request.ModelName.Equals(default))
        {
            // Only where a model need not be named.
            return snapshot.TryResolve(ReplicaSnapshot.DefaultName, out route)
                ? null
                : Problem.Invalid("model", "missing field 'model', and there is no pool 'default' to take its place");
        }

        var name = body[request.ModelName];
        if (!request.ModelEscaped && snapshot.TryResolve(name, out route))
        {
            return null;
        }

        var start = request.ModelName.Start.Value - 1;
        var text = request.ModelEscaped ? Unescape(body[start..(request.ModelName.End.Value + 1)]) : Encoding.UTF8.GetString(name);
        return snapshot.TryResolve(text, out route) ? null : UnknownModel(snapshot, text);
    }

    /// <summary>The 404 for a model nobody offers, with the nearest names.</summary>
    public static Problem UnknownModel(ReplicaSnapshot snapshot, string name)
    {
        const int Shown = 100;
        var near = NearestNames.Of(name, snapshot.Names);
        var hint = near.Count == 0 ? "no model is configured" : $"did you mean {string.Join(", ", near.Select(n => $"'{n}'"))}?";
        return new Problem(ProblemCode.ModelNotAvailable, $"model '{(name.Length > Shown ? name[..Shown] + "..." : name)}' does not exist; {hint}", "model");
    }

    /// <summary>A header with one value, or null.</summary>
    public static string? Header(HttpRequest request, string name) => request.Headers.TryGetValue(name, out var value) ? value.ToString() : null;

    private static string Unescape(ReadOnlySpan<byte> quoted)
    {
        var reader = new Utf8JsonReader(quoted);
        reader.Read();
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            // Half a surrogate pair names no model.
            return Encoding.UTF8.GetString(quoted);
        }
    }
}
