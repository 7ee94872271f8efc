namespace Loom.Core.Toml;

/// <summary>The tables of a document under construction; holds the rule that nothing is defined twice.</summary>
internal sealed class TomlTree(TomlCursor cursor)
{
    public TomlTable Root { get; } = new() { Origin = TomlTableOrigin.Header };

    /// <summary>Makes an inline table final.</summary>
    public static void Close(TomlTable table)
    {
        table.Origin = TomlTableOrigin.Inline;
        foreach (var entry in table.Entries)
        {
            if (entry.Value is TomlTable { Origin: TomlTableOrigin.Dotted } below)
            {
                Close(below);
            }
        }
    }

    /// <summary><c>[a.b.c]</c></summary>
    public TomlTable OpenTable(List<TomlKeyPart> key)
    {
        var parent = WalkHeader(key);
        var last = key[^1];
        var entry = parent.Find(last.Name);
        if (entry is null)
        {
            return Add(parent, last, new TomlTable { Origin = TomlTableOrigin.Header });
        }

        if (entry.Value is not TomlTable { Origin: TomlTableOrigin.Implied } table)
        {
            throw Twice(key, key.Count, entry);
        }

        table.Origin = TomlTableOrigin.Header;
        return table;
    }

    /// <summary><c>[[a.b.c]]</c></summary>
    public TomlTable OpenArrayItem(List<TomlKeyPart> key)
    {
        var parent = WalkHeader(key);
        var last = key[^1];
        var item = new TomlTable { Origin = TomlTableOrigin.Header };
        switch (parent.Find(last.Name))
        {
            case null:
                var array = new TomlArray { IsOfTables = true, Start = last.Start, End = last.End };
                array.Add(item);
                parent.Add(new TomlEntry(last.Name, last.Start, last.End, array));
                return item;
            case { Value: TomlArray { IsOfTables: true } tables }:
                tables.Add(item);
                return item;
            case var entry:
                throw Twice(key, key.Count, entry);
        }
    }

    /// <summary>The table a key of a line belongs into, with its last part, which must be free.</summary>
    public (TomlTable Parent, TomlKeyPart Last) Place(TomlTable table, List<TomlKeyPart> key)
    {
        for (var i = 0; i < key.Count - 1; i++)
        {
            switch (table.Find(key[i].Name))
            {
                case null:
                    table = Add(table, key[i], new TomlTable { Origin = TomlTableOrigin.Dotted });
                    break;
                case { Value: TomlTable { Origin: TomlTableOrigin.Dotted } below }:
                    table = below;
                    break;
                case { Value: TomlTable { Origin: TomlTableOrigin.Implied } below }:
                    below.Origin = TomlTableOrigin.Dotted;
                    table = below;
                    break;
                case var entry:
                    throw Twice(key, i + 1, entry);
            }
        }

        return table.Find(key[^1].Name) is { } known ? throw Twice(key, key.Count, known) : (table, key[^1]);
    }

    private static TomlTable Add(TomlTable parent, TomlKeyPart part, TomlTable table)
    {
        table.Start = part.Start;
        table.End = part.End;
        parent.Add(new TomlEntry(part.Name, part.Start, part.End, table));
        return table;
    }

    private TomlTable WalkHeader(List<TomlKeyPart> key)
    {
        var table = Root;
        for (var i = 0; i < key.Count - 1; i++)
        {
            table = table.Find(key[i].Name) switch
            {
                null => Add(table, key[i], new TomlTable { Origin = TomlTableOrigin.Implied }),
                { Value: TomlTable { Origin: not TomlTableOrigin.Inline } below } => below,
                { Value: TomlArray { IsOfTables: true } tables } => (TomlTable)tables.Items[^1],
                var entry => throw Twice(key, i + 1, entry),
            };
        }

        return table;
    }

    private TomlException Twice(List<TomlKeyPart> key, int count, TomlEntry first)
    {
        var name = string.Join('.', key.Take(count).Select(p => p.Name));
        var place = cursor.Position(first.Start);
        var part = key[count - 1];
        return cursor.Fail(part.Start, part.End - part.Start, $"'{name}' is already defined in line {place.Line}, column {place.Column}");
    }
}
