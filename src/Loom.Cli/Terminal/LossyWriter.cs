using System.Text;

namespace Loom.Cli.Terminal;

/// <summary>
/// A writer to a place that may vanish: a closed terminal, a full disk. What cannot be written is dropped, since no message is worth more than an ordered
/// stop. A line is one call to the inner writer, so that lines of several threads do not mix.
/// </summary>
public sealed class LossyWriter(TextWriter inner) : TextWriter(inner.FormatProvider)
{
    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) => Try(() => inner.Write(value));

    public override void Write(string? value) => Try(() => inner.Write(value));

    public override void Write(char[] buffer, int index, int count) => Try(() => inner.Write(buffer, index, count));

    public override void WriteLine() => Try(inner.WriteLine);

    public override void WriteLine(string? value) => Try(() => inner.WriteLine(value));

    public override void Flush() => Try(inner.Flush);

    private static void Try(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // EIO of a terminal that was closed, EPIPE, ENOSPC: nobody reads this any more.
        }
    }
}
