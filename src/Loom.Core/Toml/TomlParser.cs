namespace Loom.Core.Toml;

/// <summary>
/// TOML 1.0, complete. Refers to nothing else of Loom, so that a library can take its place. Nesting is bounded, so no input overflows the stack.
/// </summary>
public static class TomlParser
{
    /// <summary>Largest document, in bytes.</summary>
    public const int MaxBytes = 1 << 20;

    /// <summary>Deepest nesting of tables and arrays.</summary>
    public const int MaxNesting = 64;

    /// <summary>Parses a document.</summary>
    /// <exception cref="TomlException">The bytes are no TOML 1.0, or pass a limit.</exception>
    public static TomlDocument Parse(ReadOnlySpan<byte> utf8)
    {
        if (utf8.Length > MaxBytes)
        {
            throw new TomlException(new TomlText(""), 0, 1, $"the file has {utf8.Length} bytes; the limit is {MaxBytes}");
        }

        var text = TomlText.Decode(utf8);
        return new TomlDocument(text, new Run(new TomlCursor(text)).Document());
    }

    private sealed class Run(TomlCursor cursor)
    {
        private readonly TomlTree _tree = new(cursor);

        public TomlTable Document()
        {
            var current = _tree.Root;
            var depth = 0;
            while (true)
            {
                cursor.SkipBlanksAndLines();
                if (cursor.AtEnd)
                {
                    _tree.Root.End = cursor.At;
                    return _tree.Root;
                }

                if (cursor.Current == '[')
                {
                    (current, depth) = Header();
                    cursor.ExpectLineEnd("a header");
                }
                else
                {
                    KeyValue(current, depth);
                    cursor.ExpectLineEnd("a value");
                }
            }
        }

        private (TomlTable Table, int Depth) Header()
        {
            var start = cursor.At;
            cursor.At++;
            var ofTables = cursor.TakeIf('[');
            var key = Key(0);
            var closed = cursor.TakeIf(']') && (!ofTables || cursor.TakeIf(']'));
            if (!closed)
            {
                throw cursor.Fail(ofTables ? "expected ]]" : "expected ]");
            }

            var table = ofTables ? _tree.OpenArrayItem(key) : _tree.OpenTable(key);
            table.Start = start;
            table.End = cursor.At;
            return (table, key.Count);
        }

        private void KeyValue(TomlTable table, int depth)
        {
            var key = Key(depth);
            if (!cursor.TakeIf('='))
            {
                throw cursor.Fail(cursor.At, 1, "expected = after the key");
            }

            cursor.SkipBlanks();

            // The place is taken before the value is read: a duplicate is told at its key, whatever its value.
            var (parent, last) = _tree.Place(table, key);
            parent.Add(new TomlEntry(last.Name, last.Start, last.End, Value(depth + key.Count)));
        }

        private TomlValue Value(int depth)
        {
            var start = cursor.At;
            var value = cursor.Current switch
            {
                '"' or '\'' => new TomlString(TomlStrings.Read(cursor)),
                '[' => Array(depth),
                '{' => InlineTable(depth),
                _ => TomlScalars.Read(cursor),
            };
            value.Start = start;
            value.End = cursor.At;
            return value;
        }

        private TomlArray Array(int depth)
        {
            var open = cursor.At;
            CheckDepth(depth + 1, open);
            var array = new TomlArray();
            cursor.At++;
            while (true)
            {
                cursor.SkipBlanksAndLines();
                if (cursor.TakeIf(']'))
                {
                    return array;
                }

                ThrowIfOpen(open, "this array has no closing ]");
                array.Add(Value(depth + 1));
                cursor.SkipBlanksAndLines();
                if (cursor.TakeIf(']'))
                {
                    return array;
                }

                ThrowIfOpen(open, "this array has no closing ]");
                if (!cursor.TakeIf(','))
                {
                    throw cursor.Fail("expected , or ] after the item");
                }
            }
        }

        private TomlTable InlineTable(int depth)
        {
            var open = cursor.At;
            CheckDepth(depth, open);
            var table = new TomlTable { Origin = TomlTableOrigin.Dotted };
            cursor.At++;
            cursor.SkipBlanks();
            if (!cursor.TakeIf('}'))
            {
                do
                {
                    cursor.SkipBlanks();
                    ThrowIfOpen(open, "this table has no closing }");
                    KeyValue(table, depth);
                    cursor.SkipBlanks();
                }
                while (cursor.TakeIf(','));

                ThrowIfOpen(open, "this table has no closing }");
                if (!cursor.TakeIf('}'))
                {
                    throw cursor.Fail(cursor.Current is '\n' or '\r' ? "a table in braces stands on one line" : "expected , or } after the value");
                }
            }

            TomlTree.Close(table);
            return table;
        }

        private List<TomlKeyPart> Key(int depth)
        {
            var parts = new List<TomlKeyPart>(2);
            do
            {
                cursor.SkipBlanks();
                var start = cursor.At;
                var name = cursor.Current is '"' or '\'' ? QuotedKey() : BareKey();
                parts.Add(new TomlKeyPart(name, start, cursor.At));
                CheckDepth(depth + parts.Count, start);
                cursor.SkipBlanks();
            }
            while (cursor.TakeIf('.'));
            return parts;
        }

        private string QuotedKey() =>
            cursor.Ahead(1) == cursor.Current && cursor.Ahead(2) == cursor.Current
                ? throw cursor.Fail("a key cannot span lines", 3)
                : TomlStrings.SingleLine(cursor);

        private string BareKey()
        {
            var start = cursor.At;
            while (char.IsAsciiLetterOrDigit(cursor.Current) || cursor.Current is '_' or '-')
            {
                cursor.At++;
            }

            return cursor.At > start ? cursor.Text[start..cursor.At]
                : cursor.AtEnd || cursor.Current is '\n' or '\r' ? throw cursor.Fail("a key is missing")
                : TomlCursor.IsControl(cursor.Current) ? throw cursor.Fail($"control character {TomlCursor.Name(cursor.Current)} is not allowed here")
                : throw cursor.Fail($"expected a key, found '{cursor.Current}'");
        }

        private void CheckDepth(int depth, int start)
        {
            if (depth > MaxNesting)
            {
                throw cursor.Fail(start, 1, $"nested deeper than {MaxNesting} levels");
            }
        }

        private void ThrowIfOpen(int open, string message)
        {
            if (cursor.AtEnd)
            {
                throw cursor.Fail(open, 1, message);
            }
        }
    }
}

/// <summary>One part of a dotted key.</summary>
internal sealed record TomlKeyPart(string Name, int Start, int End);
