using System.Threading.Channels;

namespace Loom.Cli.Terminal;

/// <summary>
/// Carries words to a terminal that may stop reading (a pager, a stalled connection): who posts never waits, since it may be the thread that drains all children.
/// Beyond its backlog the oldest are dropped, and their number is told; the logs have them all.
/// </summary>
internal sealed class WordRelay : IDisposable
{
    private const int Backlog = 10_000;
    private static readonly TimeSpan s_lastWords = TimeSpan.FromMilliseconds(500);

    private readonly Channel<Action> _words;
    private readonly Thread _writer;
    private int _dropped;

    /// <summary>Begins to carry.</summary>
    /// <param name="tell">Says that a number of lines was dropped.</param>
    public WordRelay(Action<int> tell)
    {
        _words = Channel.CreateBounded<Action>(
            new BoundedChannelOptions(Backlog) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true }, _ => Interlocked.Increment(ref _dropped));

        // A thread of its own: a write to a terminal cannot be cancelled.
        _writer = new Thread(() => Carry(tell)) { IsBackground = true, Name = "loom-words" };
        _writer.Start();
    }

    /// <summary>Runs <paramref name="say"/> soon, in order. Never blocks.</summary>
    public void Post(Action say) => _words.Writer.TryWrite(say);

    /// <summary>Takes no more, and waits a moment until what was posted is said.</summary>
    public void Dispose()
    {
        _words.Writer.TryComplete();
        _writer.Join(s_lastWords);
    }

    private void Carry(Action<int> tell)
    {
        while (_words.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            while (_words.Reader.TryRead(out var say))
            {
                say();
                if (Interlocked.Exchange(ref _dropped, 0) is > 0 and var dropped)
                {
                    tell(dropped);
                }
            }
        }
    }
}
