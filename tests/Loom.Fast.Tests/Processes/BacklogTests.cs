using System.Text;
using Loom.Processes.Guarding;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Processes;

public sealed class BacklogTests
{
    private readonly StringBuilder _read = new();
    private readonly Backlog _backlog;
    private int _room;
    private DateTimeOffset _now = DateTimeOffset.UnixEpoch;

    public BacklogTests() => _backlog = new Backlog(Write);

    [Fact]
    public void Flush_NoRoom_KeepsTheRestInOrder()
    {
        _room = 3;
        Say("first ").ShouldBeTrue();
        Say("second").ShouldBeTrue();
        _backlog.DueAt.ShouldBe(_now + Backlog.Every);
        _room = 100;
        _backlog.Flush(_now).ShouldBeTrue();
        _read.ToString().ShouldBe("first second");
        (_backlog.IsEmpty, _backlog.DueAt).ShouldBe((true, null));
    }

    [Fact]
    public void Flush_SlowReader_IsWaitedFor_DeafOneIsNot()
    {
        Say(new string('x', 200_000)).ShouldBeTrue();
        for (var i = 0; i < 5; i++)
        {
            _now += Backlog.Patience - TimeSpan.FromSeconds(1);
            _room = 1;
            _backlog.Flush(_now).ShouldBeTrue();
        }

        _now += Backlog.Patience;
        _backlog.Flush(_now).ShouldBeFalse();
    }

    [Fact]
    public void Flush_NobodyReads_SaysSoAtOnce()
    {
        _room = -1;
        Say("x").ShouldBeFalse();
    }

    [Fact]
    public void Add_AfterALongSilence_IsNotTakenForDeafness()
    {
        _room = 10;
        Say("x").ShouldBeTrue();
        _now += Backlog.Patience * 2;
        _room = 0;
        Say("y").ShouldBeTrue();
    }

    private bool Say(string text)
    {
        _backlog.Add(Encoding.ASCII.GetBytes(text), _now);
        return _backlog.Flush(_now);
    }

    private int Write(ReadOnlySpan<byte> bytes)
    {
        if (_room < 0)
        {
            return -1;
        }

        var count = Math.Min(_room, bytes.Length);
        _room -= count;
        _read.Append(Encoding.ASCII.GetString(bytes[..count]));
        return count;
    }
}
