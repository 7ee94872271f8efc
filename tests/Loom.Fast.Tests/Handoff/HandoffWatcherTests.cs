using System.Text;
using Loom.Core.Storage;
using Loom.Node;
using Loom.Node.Handoff;
using Loom.Testing;
using Loom.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Handoff;

public sealed class HandoffWatcherTests
{
    private const string Name = "ad-x0.json";
    private const string Good = """{"pool_id":"ad","replica_id":"x0","url":"http://127.0.0.1:1"}""";

    private readonly Folder _folder = new();
    private readonly Target _target = new();
    private readonly ManualTimeProvider _time = new();
    private readonly List<string> _judged = [];

    [Fact]
    public void Scan_GoodFile_IsTakenOnceAndDeletedWhenItsEngineAnswers()
    {
        var watcher = Watcher();
        _folder.Put(Name, Good);

        watcher.Scan();
        watcher.Scan();
        _target.Taken.ShouldHaveSingleItem();
        _folder.Names.ShouldBe([Name]);

        _target.Ready = true;
        watcher.Scan();
        _folder.Names.ShouldBeEmpty();
        _target.Taken.ShouldHaveSingleItem();
        _judged.ShouldBe(["registered"]);
    }

    [Fact]
    public void Scan_AutoDeleteOff_KeepsTheFile()
    {
        var watcher = Watcher(autoDelete: false);
        _target.Ready = true;
        _folder.Put(Name, Good);

        watcher.Scan();
        watcher.Scan();

        _folder.Names.ShouldBe([Name]);
        _target.Taken.ShouldHaveSingleItem();
    }

    [Fact]
    public void Scan_SameContentWrittenAgain_IsNotTakenAgain()
    {
        var watcher = Watcher(autoDelete: false);
        _folder.Put(Name, Good);
        watcher.Scan();
        _folder.Put(Name, Good);
        watcher.Scan();

        _target.Taken.ShouldHaveSingleItem();
    }

    [Fact]
    public void Scan_Rewritten_IsTakenAgain()
    {
        var watcher = Watcher(autoDelete: false);
        _folder.Put(Name, Good);
        watcher.Scan();
        _folder.Put(Name, Good.Replace(":1\"", ":2\"", StringComparison.Ordinal));
        watcher.Scan();

        _target.Taken.Select(d => d.Url).ShouldBe(["http://127.0.0.1:1", "http://127.0.0.1:2"]);
    }

    [Fact]
    public void Scan_WrittenAnewAfterDeletion_IsANewWish()
    {
        var watcher = Watcher();
        _target.Ready = true;
        _folder.Put(Name, Good);
        watcher.Scan();
        _folder.Names.ShouldBeEmpty();

        _folder.Put(Name, Good);
        watcher.Scan();

        _target.Taken.Count.ShouldBe(2);
        _folder.Names.ShouldBeEmpty();
    }

    [Fact]
    public void Scan_HalfAFile_IsTakenWhenItIsWhole()
    {
        var watcher = Watcher();
        _folder.Put(Name, Good[..30]);
        Scans(watcher, 3, TimeSpan.FromSeconds(1));
        _folder.Put(Name, Good);
        watcher.Scan();

        _target.Taken.ShouldHaveSingleItem();
        _folder.Quarantined.ShouldBeEmpty();
    }

    [Fact]
    public void Scan_Garbage_IsPutAwayAfterFiveScansAndFiveSeconds()
    {
        var watcher = Watcher();
        _folder.Put(Name, "garbage");

        Scans(watcher, 40, TimeSpan.FromMilliseconds(100));
        _folder.Quarantined.ShouldBeEmpty("40 scans, but only 4 seconds");
        Scans(watcher, 11, TimeSpan.FromMilliseconds(100));

        _folder.Quarantined.ShouldHaveSingleItem().ShouldBe((Name, "line 1, column 1: expected JSON, found garbage"));
        _folder.Names.ShouldBeEmpty();
        _judged.Distinct().ShouldBe(["retried", "quarantined"]);
        _judged[^1].ShouldBe("quarantined");
    }

    [Fact]
    public void Scan_GarbageSeldomLookedAt_IsGivenFiveScans()
    {
        var watcher = Watcher();
        _folder.Put(Name, "garbage");

        Scans(watcher, 4, TimeSpan.FromSeconds(10));
        _folder.Quarantined.ShouldBeEmpty();
        Scans(watcher, 1, TimeSpan.FromSeconds(10));
        _folder.Quarantined.ShouldHaveSingleItem();
    }

    [Fact]
    public void Scan_FileThatGrows_HasPatienceAnewWithEachPart()
    {
        var watcher = Watcher();
        for (var length = 1; length < Good.Length; length++)
        {
            _folder.Put(Name, Good[..length]);
            Scans(watcher, 1, TimeSpan.FromSeconds(2));
        }

        _folder.Quarantined.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("""{"pool_id":"ad","replica_id":"x0","url":"http://10.0.0.1:1"}""", "url: expected")]
    [InlineData("""{"pool_id":"nobody","replica_id":"r0"}""", "there is no pool 'nobody'")]
    public void Scan_WrongContent_IsPutAwayAtOnce(string json, string part)
    {
        _folder.Put(Name, json);
        Watcher().Scan();

        _folder.Quarantined.ShouldHaveSingleItem().Reason.ShouldContain(part);
        _target.Taken.ShouldBeEmpty();
    }

    [Fact]
    public void Scan_OtherOwner_IsPutAwayUnread()
    {
        _folder.Put(Name, Good, owner: 4711);
        Watcher().Scan();

        _folder.Quarantined.ShouldHaveSingleItem().Reason.ShouldContain("belongs to user id 4711");
        _folder.Reads.ShouldBe(0);
    }

    [Fact]
    public void Scan_RefusedFileThatCannotBeMoved_IsToldOnceAndInHealth()
    {
        var watcher = Watcher();
        _folder.MoveTrouble = new UnauthorizedAccessException("not yours");
        _folder.Put(Name, Good, owner: 4711);

        Scans(watcher, 3, TimeSpan.FromSeconds(1));

        _folder.MoveAttempts.ShouldBe(1);
        _judged.ShouldBeEmpty();
    }

    [Fact]
    public void Scan_BusyPool_IsAskedAgain()
    {
        var watcher = Watcher();
        _target.Busy = true;
        _folder.Put(Name, Good);
        watcher.Scan();
        _target.Taken.ShouldBeEmpty();

        _target.Busy = false;
        watcher.Scan();
        _target.Taken.ShouldHaveSingleItem();
    }

    [Fact]
    public void Scan_FolderCannotBeRead_IsTroubleUntilItCan()
    {
        var watcher = Watcher();
        _folder.ListTrouble = new UnauthorizedAccessException("no");
        watcher.Scan();
        watcher.Trouble.ShouldNotBeNull().ShouldContain("/handoff cannot be read: no");

        _folder.ListTrouble = null;
        _folder.Put(Name, Good);
        watcher.Scan();
        watcher.Trouble.ShouldBeNull();
        _target.Taken.ShouldHaveSingleItem();
    }

    [Fact]
    public void Scan_ReplacedJustBeforeItsDeletion_TheNewOneIsTaken()
    {
        var watcher = Watcher();
        _folder.Put(Name, Good);
        watcher.Scan();
        _target.Ready = true;
        ReplaceBeforeTheNextMove(Good.Replace(":1\"", ":2\"", StringComparison.Ordinal));
        watcher.Scan();
        _folder.Names.ShouldBe([Name]);

        watcher.Scan();
        _target.Taken.Select(d => d.Url).ShouldBe(["http://127.0.0.1:1", "http://127.0.0.1:2"]);
        _folder.Names.ShouldBeEmpty();
    }

    [Fact]
    public void Scan_ReplacedJustBeforeItsQuarantine_TheNewOneIsTaken()
    {
        var watcher = Watcher();
        _folder.Put(Name, Good.Replace("127.0.0.1", "10.0.0.1", StringComparison.Ordinal));
        ReplaceBeforeTheNextMove(Good);
        watcher.Scan();
        _folder.Quarantined.ShouldBeEmpty();

        watcher.Scan();
        _target.Taken.ShouldHaveSingleItem();
    }

    [Fact]
    public void Scan_UntouchedFile_IsReadOnce()
    {
        var watcher = Watcher(autoDelete: false);
        _folder.Put(Name, Good);
        Scans(watcher, 5, TimeSpan.FromSeconds(1));

        _folder.Reads.ShouldBe(1);
    }

    private HandoffWatcher Watcher(bool autoDelete = true) =>
        new(_folder, _target, new HandoffOptions { Folder = "/handoff", AutoDelete = autoDelete }, _time, NullLogger.Instance, _judged.Add);

    private void ReplaceBeforeTheNextMove(string content) => _folder.BeforeMove = () =>
    {
        _folder.BeforeMove = () => { };
        _folder.Put(Name, content);
    };

    private void Scans(HandoffWatcher watcher, int count, TimeSpan each)
    {
        for (var i = 0; i < count; i++)
        {
            watcher.Scan();
            _time.Advance(each);
        }
    }

    private sealed class Folder : IHandoffFolder
    {
        private readonly SortedDictionary<string, (FileFacts Facts, byte[] Content)> _files = new(StringComparer.Ordinal);
        private long _writes;

        public IEnumerable<string> Names => _files.Keys;

        public List<(string Name, string Reason)> Quarantined { get; } = [];

        public int Reads { get; private set; }

        public int MoveAttempts { get; private set; }

        public Exception? ListTrouble { get; set; }

        public Exception? MoveTrouble { get; set; }

        public Action BeforeMove { get; set; } = () => { };

        public void Put(string name, string content, uint owner = 1000) =>
            _files[name] = (new FileFacts(FileKind.Regular, owner, content.Length, 1, ++_writes, _writes), Encoding.UTF8.GetBytes(content));

        public IReadOnlyList<(string Name, FileFacts Facts)> List() => ListTrouble is { } trouble ? throw trouble : [.. _files.Select(f => (f.Key, f.Value.Facts))];

        public byte[]? Read(string name)
        {
            Reads++;
            return _files.TryGetValue(name, out var file) ? file.Content : null;
        }

        public bool Delete(string name, FileFacts seen)
        {
            BeforeMove();
            return _files.TryGetValue(name, out var file) && file.Facts == seen && _files.Remove(name);
        }

        public bool Quarantine(string name, FileFacts seen, string reason)
        {
            BeforeMove();
            MoveAttempts++;
            if (MoveTrouble is not null)
            {
                throw MoveTrouble;
            }

            if (!_files.TryGetValue(name, out var file) || file.Facts != seen)
            {
                return false;
            }

            _files.Remove(name);
            Quarantined.Add((name, reason));
            return true;
        }
    }

    private sealed class Target : IHandoffTarget
    {
        public HandoffSurroundings Surroundings { get; } = new(1000, _ => null, _ => null);

        public List<HandoffDocument> Taken { get; } = [];

        public bool Busy { get; set; }

        public bool Ready { get; set; }

        public bool Take(HandoffDocument document)
        {
            if (!Busy)
            {
                Taken.Add(document);
            }

            return !Busy;
        }

        public bool IsReady(HandoffDocument document) => Ready;
    }
}
