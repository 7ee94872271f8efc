using System.IO.Pipelines;

namespace Loom.Core.Web;

/// <summary>Writing to a response.</summary>
public static class ResponseWriting
{
    private const int Piece = 2048;

    /// <summary>
    /// Copies bytes into the response. The framework's own method asks for "any amount" of space, for which the web server has nothing to give
    /// before the response has started.
    /// </summary>
    public static void Append(this PipeWriter writer, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var space = writer.GetSpan(Math.Min(bytes.Length, Piece));
            var count = Math.Min(space.Length, bytes.Length);
            bytes[..count].CopyTo(space);
            writer.Advance(count);
            bytes = bytes[count..];
        }
    }
}
