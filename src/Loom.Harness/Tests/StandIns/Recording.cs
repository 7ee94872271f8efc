using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Errors;
using Loom.Harness.Expressions;

namespace Loom.Harness.Tests.StandIns;

/// <summary>
/// Recorded answers of a component, one line of JSON for each event: <c>in</c>, its payload, and <c>out</c>, what came of it (port and data), or <c>error</c>. An event is answered by
/// its payload; several lines with one payload are taken in turn, the last of them again and again.
/// </summary>
internal sealed class Recording
{
    private readonly Dictionary<string, Queue<Answer>> _answers = new(StringComparer.Ordinal);
    private readonly List<string> _added = [];
    private readonly string _path;
    private readonly IReadOnlyDictionary<string, string> _secrets;

    private Recording(string path, IReadOnlyDictionary<string, string> secrets) => (_path, _secrets) = (path, secrets);

    /// <summary>Whether something was recorded that the file does not hold yet.</summary>
    public bool HasNew => _added.Count > 0;

    /// <summary>Reads a recording; one that is not there is empty.</summary>
    /// <param name="path">The file, absolute.</param>
    /// <param name="files">The disk.</param>
    /// <param name="secrets">Values no recorded message shows, by name.</param>
    /// <exception cref="InvalidDataException">It is no file that can be read, or a line is not what a recording holds.</exception>
    public static Recording Open(string path, ISystemFiles files, IReadOnlyDictionary<string, string> secrets)
    {
        var recording = new Recording(path, secrets);
        var read = files.Read(path, Reading.EventLists.MostBytes);
        if (read.Problem is { } problem)
        {
            throw new InvalidDataException($"{path} cannot be read as a recording: {problem}");
        }

        var number = 0;
        foreach (var line in Encoding.UTF8.GetString(read.Content ?? []).TrimStart('\uFEFF').Split('\n'))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line))
            {
                continue;
            }

            try
            {
                var entry = JsonElement.Parse(line, PayloadJson.Around);
                recording.Put(entry.GetProperty("in"), AnswerOf(entry));
            }
            catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
            {
                throw new InvalidDataException($"{path}:{number}: this is no recorded answer ({e.Message}); remove the file and record anew with loom harness test --update");
            }
        }

        return recording;
    }

    /// <summary>The next answer to this payload; null: none was recorded.</summary>
    public Answer? Find(JsonElement input)
    {
        if (!_answers.TryGetValue(CanonicalJson.Of(input), out var answers))
        {
            return null;
        }

        return answers.Count > 1 ? answers.Dequeue() : answers.Peek();
    }

    /// <summary>Adds what the component itself has answered.</summary>
    public void Add(JsonElement input, Answer answer)
    {
        Put(input, answer);
        var line = new JsonObject { ["in"] = JsonNode.Parse(input.GetRawText()) };
        if (answer.Error is { } error)
        {
            line["error"] = new JsonObject { ["code"] = error.Code, ["message"] = SecretText.In(error.Message, _secrets), ["retryable"] = error.Class == ErrorClass.Transient };
        }
        else
        {
            line["out"] = new JsonArray([.. answer.Sent.Select(s => (JsonNode)new JsonObject { ["port"] = s.Port, ["data"] = JsonNode.Parse(s.Data.GetRawText()) })]);
        }

        _added.Add(Matching.EventLines.Of(JsonElement.Parse(line.ToJsonString(), PayloadJson.Around)));
    }

    /// <summary>Writes what was added behind what the file holds.</summary>
    public void Save()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
        File.AppendAllLines(_path, _added);
        _added.Clear();
    }

    private void Put(JsonElement input, Answer answer)
    {
        var key = CanonicalJson.Of(input);
        if (!_answers.TryGetValue(key, out var answers))
        {
            _answers[key] = answers = [];
        }

        answers.Enqueue(answer);
    }

    private static string Text(JsonElement entry, string name) =>
        entry.GetProperty(name).GetString() ?? throw new JsonException($"{name} is null, not a text");

    private static Answer AnswerOf(JsonElement entry)
    {
        if (entry.TryGetProperty("error"u8, out var error))
        {
            var transient = error.TryGetProperty("retryable"u8, out var retryable) && retryable.GetBoolean();
            return new Answer([], new ItemException(Text(error, "code"), Text(error, "message"), transient ? ErrorClass.Transient : ErrorClass.Permanent));
        }

        return new Answer([.. entry.GetProperty("out").EnumerateArray().Select(o => (Text(o, "port"), o.GetProperty("data").Clone()))]);
    }
}
