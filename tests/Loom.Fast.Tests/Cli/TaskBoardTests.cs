using Loom.Cli.Terminal;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Cli;

public sealed class TaskBoardTests
{
    [Fact]
    public void Set_NoTerminal_PrintsOneLineAChange()
    {
        var err = new StringWriter();
        using (var board = Board(err, terminal: false))
        {
            board.Set("model", TaskMark.Running, "fetching", 10);
            board.Set("model", TaskMark.Running, "fetching", 50);
            board.Set("model", TaskMark.Done, "done");
        }

        err.ToString().ShouldBe("● model: fetching 10 % (0.0s)\n✔ model: done (0.0s)\n");
    }

    [Fact]
    public void Print_Terminal_StandsAboveTheList()
    {
        var err = new StringWriter();
        using (var board = Board(err, terminal: true))
        {
            board.Set("model", TaskMark.Failed, "gone");
            board.Print("a line");
        }

        var text = err.ToString();
        text.IndexOf("a line", StringComparison.Ordinal).ShouldBeLessThan(text.LastIndexOf("✘ model", StringComparison.Ordinal));
    }

    [Fact]
    public void Draw_LongText_IsCutWhileRedrawnAndWholeAtTheEnd()
    {
        var err = new StringWriter();
        var tail = new string('x', 100) + "END";
        var board = Board(err, terminal: true);
        board.Set("model", TaskMark.Running, tail);
        board.Print("redraw");
        err.ToString().ShouldNotContain("END");
        board.Dispose();
        err.ToString().ShouldContain("END");
    }

    private static TaskBoard Board(TextWriter err, bool terminal) => new(
        new Terminal { Out = TextWriter.Null, Err = err, In = TextReader.Null, ErrIsTerminal = terminal, Width = 60 },
        new FrozenTime());

    private sealed class FrozenTime : TimeProvider
    {
        public override long GetTimestamp() => 0;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => new NoTimer();

        private sealed class NoTimer : ITimer
        {
            public bool Change(TimeSpan dueTime, TimeSpan period) => true;

            public void Dispose()
            {
            }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}
