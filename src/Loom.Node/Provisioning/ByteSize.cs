using System.Globalization;

namespace Loom.Node.Provisioning;

/// <summary>Sizes for a reader.</summary>
public static class ByteSize
{
    private static readonly string[] s_units = ["B", "KiB", "MiB", "GiB", "TiB"];

    /// <summary>For example <c>3.7 MiB</c>.</summary>
    public static string Text(long bytes)
    {
        var unit = 0;
        double size = bytes;
        for (; size >= 1024 && unit < s_units.Length - 1; unit++)
        {
            size /= 1024;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{size:0.#} {s_units[unit]}");
    }
}
