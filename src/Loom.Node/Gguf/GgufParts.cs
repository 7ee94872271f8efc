using System.Globalization;

namespace Loom.Node.Gguf;

/// <summary>The other files of a model that is split into parts: <c>NAME-00001-of-00003.gguf</c> and so on, side by side. Engines load them by the first.</summary>
internal static class GgufParts
{
    private const int SuffixLength = 20; // -00001-of-00003.gguf

    /// <summary>Bytes of the parts beside the first one.</summary>
    /// <param name="path">The part whose header was read.</param>
    /// <param name="count">Parts that its header speaks of.</param>
    /// <param name="lengthOf">Length of a file; null when there is none.</param>
    /// <exception cref="GgufException">It is not the first part, or others are missing; the message names the path.</exception>
    public static long OtherBytes(string path, int count, Func<string, long?> lengthOf)
    {
        if (count <= 1)
        {
            return 0;
        }

        if (PartOf(path, count) is not { } part)
        {
            throw new GgufException($"'{path}' is one of {count} parts of a model, but is not named like one (NAME-00001-of-{count:00000}.gguf); "
                + "give the parts their names back and use the first");
        }

        if (part != 1)
        {
            throw new GgufException($"'{path}' is part {part} of {count}; use part 1, with the other parts beside it");
        }

        var name = path[..^SuffixLength];
        var others = Enumerable.Range(2, count - 1).Select(n => (Part: n, Bytes: lengthOf($"{name}-{n:00000}-of-{count:00000}.gguf"))).ToList();
        var missing = others.Where(o => o.Bytes is null).Select(o => o.Part).ToList();
        return missing.Count == 0
            ? others.Sum(o => o.Bytes!.Value)
            : throw new GgufException($"'{path}' is part 1 of {count}; {(missing.Count == count - 1 ? "the other parts are" : $"part {missing[0]} is")} missing "
                + "beside it. Put them there, or use a model of one file");
    }

    private static int? PartOf(string path, int count) =>
        path.Length > SuffixLength && path[^SuffixLength] == '-' && path.EndsWith($"-of-{count:00000}.gguf", StringComparison.Ordinal)
            && int.TryParse(path.AsSpan()[^(SuffixLength - 1)..^14], NumberStyles.None, CultureInfo.InvariantCulture, out var part)
            ? part
            : null;
}
