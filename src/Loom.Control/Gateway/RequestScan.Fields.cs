using System.Globalization;
using System.Text.Json;

namespace Loom.Control.Gateway;

// What each field we read must look like.
internal ref partial struct RequestScan
{
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

    private void ReadMostTokens(Field field, string name) => _result.MostTokens = (int?)ReadInteger(field, name, 1, int.MaxValue) ?? _result.MostTokens;

    private long? ReadInteger(Field field, string name, long least, long most)
    {
        Once(field, name);
        var type = Next();
        if (type == JsonTokenType.Null)
        {
            return null;
        }

        if (type != JsonTokenType.Number || !_reader.TryGetInt64(out var value))
        {
            FailType(name, "an integer");
        }
        else if (value < least || value > most)
        {
            Fail(name, most == int.MaxValue ? $"field '{name}' is {value}, must be at least {least}" : $"field '{name}' is {value}, must be from {least} to {most}");
        }
        else
        {
            return value;
        }

        return null;
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
            Fail(name, string.Create(CultureInfo.InvariantCulture, $"field '{name}' is {value}, must be from {least} to {most}"));
        }
    }
}
