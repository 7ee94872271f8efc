using System.Text;
using System.Text.Json;
using Loom.Control.Api;
using Loom.Control.Catalog;
using Loom.Wire;

namespace Loom.Control.Gateway;

/// <summary>
/// Checks a request body in one pass without building anything from it: a JSON object, at most 64 levels deep, the fields we read present once and of the
/// right type and range. Fields we do not know pass.
/// </summary>
internal ref struct RequestScan
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
        if (_problem is null && (_seen & Field.StreamOptions) == 0)
        {
            _result.Usage = UsageAsk.NoOptions;
            _result.UsagePlace = _result.BodyStart.._result.BodyStart;
        }
    }

    private readonly Problem? MissingField()
    {
        var (name, field) = _route switch
        {
            InferenceRoute.Chat => ("messages", Field.Messages),
            InferenceRoute.Completions => ("prompt", Field.Prompt),
            _ => ("input", Field.Input),
        };
        return (_seen & Field.Model) == 0 ? Problem.Invalid("model", "missing required field 'model'")
            : (_seen & field) == 0 ? Problem.Invalid(name, $"missing required field '{name}'")
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

            _result.Stream = _reader.TokenType == JsonTokenType.True && _route != InferenceRoute.Embeddings;
        }
        else if (_reader.ValueTextEquals("stream_options"u8))
        {
            ReadStreamOptions();
        }
        else if (_reader.ValueTextEquals("service_tier"u8))
        {
            Once(Field.ServiceTier, "service_tier");
            _result.Flex = Next() == JsonTokenType.String && _reader.ValueTextEquals("flex"u8);
            SkipValue();
        }
        else if (_route == InferenceRoute.Embeddings ? !ReadEmbeddingField() : !ReadGenerationField())
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
            ReadInteger(Field.MaxTokens, "max_tokens", 1, int.MaxValue);
        }
        else if (_reader.ValueTextEquals("max_completion_tokens"u8))
        {
            ReadInteger(Field.MaxCompletionTokens, "max_completion_tokens", 1, int.MaxValue);
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

    private void ReadModel()
    {
        Once(Field.Model, "model");
        if (Next() != JsonTokenType.String)
        {
            FailType("model", "a string");
        }
        else if (_reader.ValueSpan.IsEmpty)
        {
            Fail("model", "field 'model' must not be empty");
        }
        else
        {
            _result.ModelName = ((int)_reader.TokenStartIndex + 1)..((int)_reader.BytesConsumed - 1);
            _result.ModelEscaped = _reader.ValueIsEscaped;
        }
    }

    private void ReadStreamOptions()
    {
        Once(Field.StreamOptions, "stream_options");
        var type = Next();
        if (type == JsonTokenType.Null)
        {
            _result.Usage = UsageAsk.NullOptions;
            _result.UsagePlace = TokenRange();
            return;
        }

        if (type != JsonTokenType.StartObject)
        {
            FailType("stream_options", "an object");
            return;
        }

        var inside = (int)_reader.BytesConsumed;
        _result.Usage = UsageAsk.EmptyOptions;
        _result.UsagePlace = inside..inside;
        while (_problem is null && _reader.Read() && _reader.TokenType == JsonTokenType.PropertyName)
        {
            if (!_reader.ValueTextEquals("include_usage"u8))
            {
                _result.Usage = _result.Usage == UsageAsk.EmptyOptions ? UsageAsk.OtherOptions : _result.Usage;
                Next();
                SkipValue();
            }
            else if (Once(Field.IncludeUsage, "stream_options.include_usage"))
            {
                var flag = Next();
                if (flag is not (JsonTokenType.True or JsonTokenType.False or JsonTokenType.Null))
                {
                    FailType("stream_options.include_usage", "true or false");
                }

                _result.Usage = flag == JsonTokenType.True ? UsageAsk.Asked : UsageAsk.Declined;
                _result.UsagePlace = TokenRange();
            }
        }
    }

    private void ReadMessages()
    {
        Once(Field.Messages, "messages");
        if (Next() != JsonTokenType.StartArray)
        {
            FailType("messages", "a list of messages");
            return;
        }

        var index = 0;
        while (_problem is null && _reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            ReadMessage(index++);
        }

        if (index == 0 && _problem is null)
        {
            Fail("messages", "field 'messages' must hold at least one message");
        }
    }

    private void ReadMessage(int index)
    {
        if (_reader.TokenType != JsonTokenType.StartObject)
        {
            FailType($"messages[{index}]", "an object with role and content");
            return;
        }

        var hasRole = false;
        while (_problem is null && _reader.Read() && _reader.TokenType == JsonTokenType.PropertyName)
        {
            if (_reader.ValueTextEquals("role"u8))
            {
                if (hasRole)
                {
                    Fail($"messages[{index}].role", $"field 'messages[{index}].role' stands twice");
                }
                else if (Next() != JsonTokenType.String)
                {
                    FailType($"messages[{index}].role", "a string");
                }

                hasRole = true;
            }
            else if (_reader.ValueTextEquals("content"u8))
            {
                if (Next() is not (JsonTokenType.String or JsonTokenType.StartArray or JsonTokenType.Null))
                {
                    FailType($"messages[{index}].content", "a string or a list of parts");
                }

                SkipValue();
            }
            else
            {
                Next();
                SkipValue();
            }
        }

        if (!hasRole && _problem is null)
        {
            Fail($"messages[{index}].role", $"missing required field 'messages[{index}].role'");
        }
    }

    // A string, a list of strings, a list of token ids, or a list of such lists: the engine knows which it takes.
    private void ReadText(Field field, string name)
    {
        Once(field, name);
        if (Next() is not (JsonTokenType.String or JsonTokenType.StartArray))
        {
            FailType(name, "a string or a list");
        }

        SkipValue();
    }

    private void ReadStop()
    {
        Once(Field.Stop, "stop");
        var type = Next();
        if (type is JsonTokenType.String or JsonTokenType.Null)
        {
            return;
        }

        if (type != JsonTokenType.StartArray)
        {
            FailType("stop", "a string or a list of strings");
            return;
        }

        var count = 0;
        while (_problem is null && _reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (_reader.TokenType != JsonTokenType.String)
            {
                FailType($"stop[{count}]", "a string");
            }

            count++;
        }

        if (count > MostStops && _problem is null)
        {
            Fail("stop", $"field 'stop' holds {count} strings, at most {MostStops} are allowed");
        }
    }

    private void ReadInteger(Field field, string name, long least, long most)
    {
        Once(field, name);
        var type = Next();
        if (type == JsonTokenType.Null)
        {
            return;
        }

        if (type != JsonTokenType.Number || !_reader.TryGetInt64(out var value))
        {
            FailType(name, "an integer");
        }
        else if (value < least || value > most)
        {
            Fail(name, most == int.MaxValue ? $"field '{name}' is {value}, must be at least {least}" : $"field '{name}' is {value}, must be from {least} to {most}");
        }
    }

    private void ReadNumber(Field field, string name, double least, double most)
    {
        Once(field, name);
        var type = Next();
        if (type == JsonTokenType.Null)
        {
            return;
        }

        if (type != JsonTokenType.Number || !_reader.TryGetDouble(out var value))
        {
            FailType(name, "a number");
        }
        else if (value < least || value > most)
        {
            Fail(name, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"field '{name}' is {value}, must be from {least} to {most}"));
        }
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
