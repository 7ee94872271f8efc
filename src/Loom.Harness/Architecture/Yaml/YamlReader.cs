using System.Text;
using Loom.Harness.Architecture.Checks;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Loom.Harness.Architecture.Yaml;

/// <summary>
/// Reads one YAML document into nodes that know their places: core schema, no tags, text keys without duplicates. Limits keep hostile input cheap:
/// 4 MiB, 100 levels, 10,000 nodes brought in by aliases.
/// </summary>
internal sealed class YamlReader
{
    /// <summary>Largest file, in bytes.</summary>
    public const int MaxBytes = 4 << 20;

    /// <summary>Deepest nesting.</summary>
    public const int MaxDepth = 100;

    /// <summary>Nodes that aliases may add.</summary>
    public const int MaxAliasNodes = 10_000;

    private readonly string _file;
    private readonly FindingList _findings;
    private readonly Dictionary<string, Anchored> _anchors = new(StringComparer.Ordinal);
    private readonly IParser _parser;
    private int _nodes;
    private int _aliased;

    private YamlReader(string file, string text, FindingList findings)
    {
        _file = file;
        _findings = findings;
        _parser = new Parser(new StringReader(text));
    }

    /// <summary>The document, or null after a finding that made reading on pointless. Duplicate keys are found too; the first one counts.</summary>
    /// <param name="file">Name for findings.</param>
    /// <param name="content">UTF-8, with or without a byte order mark.</param>
    /// <param name="findings">What is wrong is added here.</param>
    public static YamlNode? Read(string file, ReadOnlyMemory<byte> content, FindingList findings)
    {
        if (content.Length > MaxBytes)
        {
            findings.Error(Codes.File, file, 0, 0, $"the file has {content.Length} bytes; at most {MaxBytes} are read");
            return null;
        }

        if (Decode(file, content.Span, findings) is not { } text)
        {
            return null;
        }

        var reader = new YamlReader(file, text, findings);
        try
        {
            return reader.Document();
        }
        catch (YamlException e)
        {
            Syntax(file, text, e.Start is { Line: <= 1, Column: <= 1 } ? e.End : e.Start, e.Message, findings);
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException or IndexOutOfRangeException or OverflowException)
        {
            // The scanner breaks in the middle of some wrong input, instead of telling it.
            Syntax(file, text, reader._parser.Current?.End ?? Mark.Empty, "a bracket, a quote or a comma is missing", findings);
        }
        catch (StopReadingException)
        {
            // The finding has been made.
        }

        return null;
    }

    private static string? Decode(string file, ReadOnlySpan<byte> bytes, FindingList findings)
    {
        bytes = bytes.StartsWith(Encoding.UTF8.Preamble) ? bytes[3..] : bytes;
        var bad = System.Text.Unicode.Utf8.IsValid(bytes) ? bytes.IndexOf((byte)0) : FirstInvalid(bytes);
        if (bad < 0)
        {
            return Encoding.UTF8.GetString(bytes);
        }

        var before = bytes[..bad];
        var column = bad - before.LastIndexOf((byte)'\n');
        findings.Error(Codes.NotText, file, before.Count((byte)'\n') + 1, column, $"byte {bytes[bad]:x2} is not UTF-8 text; save the file as UTF-8");
        return null;
    }

    private static int FirstInvalid(ReadOnlySpan<byte> bytes)
    {
        var at = 0;
        while (Rune.DecodeFromUtf8(bytes[at..], out _, out var length) == System.Buffers.OperationStatus.Done)
        {
            at += length;
        }

        return at;
    }

    private YamlNode? Document()
    {
        _parser.Consume<StreamStart>();
        if (_parser.Accept<StreamEnd>(out _))
        {
            _findings.Error(Codes.File, _file, 0, 0, "the file is empty; loom harness new NAME makes one that runs");
            return null;
        }

        _parser.Consume<DocumentStart>();
        var root = Node(0);
        _parser.Consume<DocumentEnd>();
        if (_parser.Current is not StreamEnd && _parser.Current is { } next)
        {
            Stop(Codes.Refused, next.Start, "a second document begins here; a file holds one");
        }

        return root;
    }

    private YamlNode Node(int depth)
    {
        var current = _parser.Current ?? throw new YamlException("the file ends too early");
        if (depth > MaxDepth)
        {
            Stop(Codes.Refused, current.Start, $"nested more than {MaxDepth} levels deep");
        }

        if (current is AnchorAlias alias)
        {
            _parser.MoveNext();
            return Aliased(alias, depth);
        }

        var started = _nodes++;
        var head = (NodeEvent)current;
        if (!head.Tag.IsEmpty && head is not Scalar { Tag.IsNonSpecific: true })
        {
            Stop(Codes.Refused, head.Start, $"tag {head.Tag.Value} is not allowed; write a plain value, list or map");
        }

        YamlNode node = head switch
        {
            Scalar scalar => Take(scalar),
            SequenceStart start => Sequence(start, depth),
            MappingStart start => Mapping(start, depth),
            _ => throw new YamlException(head.Start, head.End, $"{head.GetType().Name} is not expected here"),
        };
        if (!head.Anchor.IsEmpty)
        {
            _anchors[head.Anchor.Value] = new Anchored(node, _nodes - started, Height(node));
        }

        return node;
    }

    private YamlNode Aliased(AnchorAlias alias, int depth)
    {
        if (!_anchors.TryGetValue(alias.Value.Value, out var anchored))
        {
            Stop(Codes.Syntax, alias.Start, $"alias *{alias.Value.Value} has no anchor before it");
            throw new StopReadingException();
        }

        _aliased += anchored.Nodes;
        _nodes += anchored.Nodes;
        if (_aliased > MaxAliasNodes)
        {
            Stop(Codes.Refused, alias.Start, $"aliases expand to more than {MaxAliasNodes} values");
        }

        if (depth + anchored.Height > MaxDepth)
        {
            Stop(Codes.Refused, alias.Start, $"aliases nest more than {MaxDepth} levels deep");
        }

        return anchored.Node;
    }

    private static int Height(YamlNode node) => node switch
    {
        YamlSequence { Items.Count: > 0 } list => 1 + list.Items.Max(Height),
        YamlMapping { Entries.Count: > 0 } map => 1 + map.Entries.Max(e => Height(e.Value)),
        _ => 0,
    };

    private YamlScalar Take(Scalar scalar)
    {
        _parser.MoveNext();
        var style = scalar.Style switch
        {
            YamlDotNet.Core.ScalarStyle.Plain => ScalarStyle.Plain,
            YamlDotNet.Core.ScalarStyle.Literal or YamlDotNet.Core.ScalarStyle.Folded => ScalarStyle.Block,
            _ => ScalarStyle.Quoted,
        };
        return new YamlScalar(_file, (int)scalar.Start.Line, (int)scalar.Start.Column, scalar.Value, style);
    }

    private YamlSequence Sequence(SequenceStart start, int depth)
    {
        _parser.MoveNext();
        var items = new List<YamlNode>();
        while (_parser.Current is not SequenceEnd)
        {
            items.Add(Node(depth + 1));
        }

        _parser.MoveNext();
        return new YamlSequence(_file, (int)start.Start.Line, (int)start.Start.Column, items);
    }

    private YamlMapping Mapping(MappingStart start, int depth)
    {
        _parser.MoveNext();
        var entries = new List<YamlEntry>();
        var seen = new Dictionary<string, YamlScalar>(StringComparer.Ordinal);
        while (_parser.Current is not MappingEnd)
        {
            var at = _parser.Current!.Start;
            if (Node(depth + 1) is not YamlScalar key)
            {
                Stop(Codes.WrongType, at, "a key is a list or a map; keys are text");
                throw new StopReadingException();
            }

            var value = Node(depth + 1);
            if (!seen.TryAdd(key.Text, key))
            {
                _findings.Error(Codes.DuplicateKey, key, $"key \"{key.Text}\" is given twice (first at line {seen[key.Text].Line}); remove one");
                continue;
            }

            entries.Add(new YamlEntry(key, value));
        }

        _parser.MoveNext();
        return new YamlMapping(_file, (int)start.Start.Line, (int)start.Start.Column, entries);
    }

    private void Stop(string code, Mark at, string message)
    {
        _findings.Error(code, _file, (int)at.Line, (int)at.Column, message);
        throw new StopReadingException();
    }

    // What the parser says about a tab is about anything but the tab.
    private static void Syntax(string file, string text, Mark at, string message, FindingList findings)
    {
        var line = (int)Math.Max(1, at.Line);
        var tab = message.Contains("tab", StringComparison.Ordinal) ? TabBetween(text, 1, int.MaxValue) : TabBetween(text, line - 1, line);
        if (tab is { } place)
        {
            findings.Error(Codes.Tab, file, place.Line, place.Column, "a tab stands in the indentation; indent with spaces");
            return;
        }

        findings.Error(Codes.Syntax, file, line, (int)Math.Max(1, at.Column), $"{Lower(message)}; check indentation, quotes and brackets on this line and the one before");
    }

    private static (int Line, int Column)? TabBetween(string text, int first, int last)
    {
        var number = 0;
        foreach (var each in text.AsSpan().EnumerateLines())
        {
            if (++number > last)
            {
                break;
            }

            var indentation = each.IndexOfAnyExcept(' ', '\t');
            var tab = indentation < 0 ? -1 : each[..indentation].IndexOf('\t');
            if (number >= first && tab >= 0)
            {
                return (number, tab + 1);
            }
        }

        return null;
    }

    private static string Lower(string message)
    {
        // The parser's own place is cut off: it is given in front.
        var colon = message.StartsWith("(Line", StringComparison.Ordinal) ? message.IndexOf("): ", StringComparison.Ordinal) : -1;
        var plain = (colon < 0 ? message : message[(colon + 3)..]).TrimEnd('.');
        return plain.Length == 0 ? "this is no YAML" : char.ToLowerInvariant(plain[0]) + plain[1..];
    }

    private readonly record struct Anchored(YamlNode Node, int Nodes, int Height);

    private sealed class StopReadingException : Exception;
}
