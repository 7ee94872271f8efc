using System.Text;
using System.Text.Json;
using Loom.Control.Catalog;
using Loom.Core.Web;
using Loom.Wire;

namespace Loom.Control.Gateway;

/// <summary>
/// Checks a request body in one pass without building anything from it: a JSON object, at most 64 levels deep, the fields we read present once and of the
/// right type and range. Fields we do not know pass.
/// </summary>
internal ref partial struct RequestScan
{
    private const int DeepestLevel = 64;
    private const int MostStops = 16;

    private readonly ReadOnlySpan<byte> _body;
    private readonly InferenceRoute _route;
    private Utf8JsonReader _reader;
    private ScannedRequest _result;
    private Field _seen;
    private Problem? _problem;

    private RequestScan(ReadOnlySpan<byte> body, InferenceRoute route)
    {
        _body = body;
        _route = route;
        // One level more than allowed, so that the level itself is reported by us and not as a syntax error.
        _reader = new Utf8JsonReader(body, isFinalBlock: true, new JsonReaderState(new JsonReaderOptions { MaxDepth = DeepestLevel + 1 }));
    }

    [Flags]
    private enum Field
    {
        None = 0,
        Model = 1,
        Messages = 1 << 1,
        Prompt = 1 << 2,
        Input = 1 << 3,
        Stream = 1 << 4,
        StreamOptions = 1 << 5,
        ServiceTier = 1 << 6,
        MaxTokens = 1 << 7,
        MaxCompletionTokens = 1 << 8,
        N = 1 << 9,
        Stop = 1 << 10,
        Temperature = 1 << 11,
        TopP = 1 << 12,
        FrequencyPenalty = 1 << 13,
        PresencePenalty = 1 << 14,
        TopLogprobs = 1 << 15,
        Seed = 1 << 16,
        IncludeUsage = 1 << 17,
    }

    /// <summary>Null when the body is good; else what is wrong with it and where.</summary>
    public static Problem? Check(ReadOnlySpan<byte> body, InferenceRoute route, out ScannedRequest request)
    {
        var scan = new RequestScan(body, route);
        try
        {
            scan.ReadBody();
            request = scan._result;
            return scan._problem;
        }
        catch (JsonException e)
        {
            request = default;
            var place = $"line {e.LineNumber + 1}, column {e.BytePositionInLine + 1}";
            return new Problem(ProblemCode.InvalidParams, $"the request body is not valid JSON: error at {place}");
        }
        catch (InvalidOperationException)
        {
            // How the reader says that a name or string it was to compare is no text.
            request = default;
            var (line, column) = scan.Place(scan._reader.TokenStartIndex);
            return new Problem(ProblemCode.InvalidParams, $"the request body holds half a surrogate pair at line {line}, column {column}");
        }
    }

    private void ReadBody()
    {
        if (_body.IsEmpty)
        {
            Fail(null, "the request body is empty; send a JSON object");
            return;
        }

        _reader.Read();
        if (_reader.TokenType != JsonTokenType.StartObject)
        {
            Fail(null, $"the request body must be a JSON object, found {Found()}");
            return;
        }

        _result.BodyStart = (int)_reader.BytesConsumed;
        while (_problem is null && _reader.Read() && _reader.TokenType == JsonTokenType.PropertyName)
        {
            ReadField();
        }

        // Reading past the end finds what must not be there.
        while (_problem is null && _reader.Read())
        {
        }

        _problem ??= MissingField();
        if (!_route.AsksUsage)
        {
            // Engines report it unasked.
            _result.Usage = UsageAsk.Asked;
        }
        else if (_problem is null && (_seen & Field.StreamOptions) == 0)
        {
            _result.Usage = UsageAsk.NoOptions;
            _result.UsagePlace = _result.BodyStart.._result.BodyStart;
        }
    }

    private readonly Problem? MissingField()
    {
        var (name, field) = _route switch
        {
            InferenceRoute.Chat or InferenceRoute.Messages or InferenceRoute.CountTokens => ("messages", Field.Messages),
            InferenceRoute.Completions => ("prompt", Field.Prompt),
            InferenceRoute.Embeddings => ("input", Field.Input),
            // What these take is for their engines to say.
            _ => ("", Field.None),
        };
        return (_seen & Field.Model) == 0 && _route != InferenceRoute.Tokenize ? Problem.Invalid("model", "missing required field 'model'")
            : (_seen & field) != field ? Problem.Invalid(name, $"missing required field '{name}'")
            : null;
    }

    private void ReadField()
    {
        if (_reader.ValueTextEquals("model"u8))
        {
            ReadModel();
        }
        else if (_reader.ValueTextEquals("stream"u8))
        {
            if (Once(Field.Stream, "stream") && Next() is not (JsonTokenType.True or JsonTokenType.False or JsonTokenType.Null))
            {
                FailType("stream", "true or false");
            }

            _result.Stream = _reader.TokenType == JsonTokenType.True && _route.CanStream;
        }
        else if (_route.AsksUsage && _reader.ValueTextEquals("stream_options"u8))
        {
            ReadStreamOptions();
        }
        else if (_reader.ValueTextEquals("service_tier"u8))
        {
            Once(Field.ServiceTier, "service_tier");
            _result.Flex = Next() == JsonTokenType.String && _reader.ValueTextEquals("flex"u8);
            SkipValue();
        }
        else if (_route == InferenceRoute.Embeddings ? !ReadEmbeddingField() : _route.AsksUsage ? !ReadGenerationField() : !ReadOtherField())
        {
            Next();
            SkipValue();
        }
    }

    private bool ReadEmbeddingField()
    {
        if (!_reader.ValueTextEquals("input"u8))
        {
            return false;
        }

        ReadText(Field.Input, "input");
        return true;
    }

    private bool ReadOtherField()
    {
        if (_route.IsAnthropic && _reader.ValueTextEquals("messages"u8))
        {
            ReadMessages();
        }
        else if (_route == InferenceRoute.Messages && _reader.ValueTextEquals("max_tokens"u8))
        {
            ReadMostTokens(Field.MaxTokens, "max_tokens");
        }
        else if (_route == InferenceRoute.Responses && _reader.ValueTextEquals("max_output_tokens"u8))
        {
            ReadMostTokens(Field.MaxTokens, "max_output_tokens");
        }
        else
        {
            return false;
        }

        return true;
    }

    private bool ReadGenerationField()
    {
        if (_route == InferenceRoute.Chat && _reader.ValueTextEquals("messages"u8))
        {
            ReadMessages();
        }
        else if (_route == InferenceRoute.Completions && _reader.ValueTextEquals("prompt"u8))
        {
            ReadText(Field.Prompt, "prompt");
        }
        else if (_reader.ValueTextEquals("max_tokens"u8))
        {
            ReadMostTokens(Field.MaxTokens, "max_tokens");
        }
        else if (_reader.ValueTextEquals("max_completion_tokens"u8))
        {
            ReadMostTokens(Field.MaxCompletionTokens, "max_completion_tokens");
        }
        else if (_reader.ValueTextEquals("n"u8))
        {
            ReadInteger(Field.N, "n", 1, 128);
        }
        else if (_reader.ValueTextEquals("seed"u8))
        {
            ReadInteger(Field.Seed, "seed", long.MinValue, long.MaxValue);
        }
        else if (_reader.ValueTextEquals("top_logprobs"u8))
        {
            ReadInteger(Field.TopLogprobs, "top_logprobs", 0, 20);
        }
        else if (_reader.ValueTextEquals("temperature"u8))
        {
            ReadNumber(Field.Temperature, "temperature", 0, 2);
        }
        else if (_reader.ValueTextEquals("top_p"u8))
        {
            ReadNumber(Field.TopP, "top_p", 0, 1);
        }
        else if (_reader.ValueTextEquals("frequency_penalty"u8))
        {
            ReadNumber(Field.FrequencyPenalty, "frequency_penalty", -2, 2);
        }
        else if (_reader.ValueTextEquals("presence_penalty"u8))
        {
            ReadNumber(Field.PresencePenalty, "presence_penalty", -2, 2);
        }
        else if (_reader.ValueTextEquals("stop"u8))
        {
            ReadStop();
        }
        else
        {
            return false;
        }

        return true;
    }

    private JsonTokenType Next()
    {
        if (_problem is null)
        {
            _reader.Read();
        }

        return _reader.TokenType;
    }

    // Like Utf8JsonReader.Skip, but it minds the depth.
    private void SkipValue()
    {
        if (_reader.TokenType is not (JsonTokenType.StartObject or JsonTokenType.StartArray))
        {
            return;
        }

        var depth = _reader.CurrentDepth;
        while (_problem is null && _reader.Read() && _reader.CurrentDepth > depth)
        {
            if (_reader.CurrentDepth >= DeepestLevel && _reader.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray)
            {
                var (line, column) = Place(_reader.TokenStartIndex);
                Fail(null, $"the request body is nested deeper than {DeepestLevel} levels at line {line}, column {column}");
            }
        }
    }

    private bool Once(Field field, string name)
    {
        if ((_seen & field) != 0)
        {
            var (line, column) = Place(_reader.TokenStartIndex);
            Fail(name, $"field '{name}' stands twice, again at line {line}, column {column}");
            return false;
        }

        _seen |= field;
        return true;
    }

    private readonly (int Line, int Column) Place(long offset)
    {
        var before = _body[..(int)offset];
        return (before.Count((byte)'\n') + 1, before.Length - before.LastIndexOf((byte)'\n'));
    }

    private readonly Range TokenRange() => (int)_reader.TokenStartIndex..(int)_reader.BytesConsumed;

    private void FailType(string param, string expected) => Fail(param, $"field '{param}' must be {expected}, found {Found()}");

    private void Fail(string? param, string message) => _problem ??= new Problem(ProblemCode.InvalidParams, message, param);

    private readonly string Found()
    {
        const int Shown = 40;
        return _reader.TokenType switch
        {
            JsonTokenType.StartObject => "an object",
            JsonTokenType.StartArray => "a list",
            JsonTokenType.String => "a string",
            JsonTokenType.Number => "the number " + Encoding.UTF8.GetString(_reader.ValueSpan[..Math.Min(Shown, _reader.ValueSpan.Length)]),
            JsonTokenType.True => "true",
            JsonTokenType.False => "false",
            _ => "null",
        };
    }
}
