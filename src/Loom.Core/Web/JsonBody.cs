using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Loom.Core.Settings;

namespace Loom.Core.Web;

/// <summary>Reads JSON of a request so that each mistake is told with its place.</summary>
public static class JsonBody
{
    private static readonly JsonDocumentOptions s_document = new() { MaxDepth = 64, AllowDuplicateProperties = false };

    /// <summary>Reads a body.</summary>
    /// <param name="utf8">The bytes.</param>
    /// <param name="type">What they are.</param>
    /// <param name="strict">Refuse fields that are not known.</param>
    /// <exception cref="ProblemException">400 with line and column, or with the path of the field.</exception>
    public static T Read<T>(ReadOnlyMemory<byte> utf8, JsonTypeInfo<T> type, bool strict)
    {
        try
        {
            using var document = JsonDocument.Parse(utf8, s_document);
            if (strict && Unknown(document.RootElement, type, "") is { } unknown)
            {
                throw new ProblemException(unknown);
            }

            return document.RootElement.Deserialize(type) ?? throw new ProblemException(Problem.Invalid("", "the body is null; an object is expected"));
        }
        catch (JsonException e)
        {
            throw new ProblemException(Told(e));
        }
        catch (InvalidOperationException e) when (e.InnerException is DecoderFallbackException || e is { Source: "System.Text.Json" })
        {
            throw new ProblemException(Problem.Invalid("", "the body holds text that is no valid UTF-8"));
        }
    }

    private static Problem Told(JsonException e)
    {
        var path = e.Path is { Length: > 2 } p && p.StartsWith("$.", StringComparison.Ordinal) ? p[2..] : "";
        var place = e.LineNumber is { } line ? $" (line {line + 1}, column {e.BytePositionInLine + 1})" : "";
        // Which type of ours it did not fit is nothing to a caller; that it is the type that is wrong, and where, is all.
        var message = e.Message.StartsWith("The JSON value could not be converted", StringComparison.Ordinal) && path.Length > 0 ? $"field '{path}' has a value of the wrong type" : e.Message;
        var end = message.IndexOf(" Path: ", StringComparison.Ordinal);
        message = end > 0 ? message[..end] : message;
        end = message.IndexOf(" LineNumber: ", StringComparison.Ordinal);
        return Problem.Invalid(path, $"the body cannot be read: {(end > 0 ? message[..end] : message)}{place}");
    }

    private static Problem? Unknown(JsonElement json, JsonTypeInfo type, string path)
    {
        if (json.ValueKind != JsonValueKind.Object || type.Kind != JsonTypeInfoKind.Object)
        {
            return null;
        }

        foreach (var field in json.EnumerateObject())
        {
            var known = type.Properties.FirstOrDefault(p => p.Name == field.Name);
            var here = path.Length == 0 ? field.Name : $"{path}.{field.Name}";
            if (known is null)
            {
                var names = type.Properties.Select(p => p.Name).ToList();
                var near = Nearest.Of(field.Name, names) ?? names.Find(n => field.Name.Length > 2 && n.StartsWith(field.Name, StringComparison.OrdinalIgnoreCase));
                return Problem.Invalid(here, $"there is no field '{Redaction.Plain(field.Name)}' here{(near is null ? "" : $"; did you mean '{near}'?")}");
            }

            if (Unknown(field.Value, type.Options.GetTypeInfo(known.PropertyType), here) is { } inner)
            {
                return inner;
            }
        }

        return null;
    }
}
