using Loom.Control.Tasks;
using Loom.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Tasks;

public sealed class TaskJournalTests
{
    private const long Small = 4096;

    [Fact]
    public async Task Compact_MostTasksAreGone_FileShrinksAndRestStays()
    {
        using var folder = new TempFolder();
        var path = Path.Combine(folder.Path, "tasks.journal");
        var tasks = Enumerable.Range(0, 100).Select(Entry).ToList();
        await using (var journal = TaskJournal.Open(path, static _ => { }, TimeProvider.System, NullLogger.Instance, Small))
        {
            foreach (var task in tasks.Take(3))
            {
                await journal.WriteAsync(TaskRecord.OfAcceptance(task, task.Request!, false), task.NoteAcceptance);
            }

            await journal.CompactAsync(static () => throw new InvalidOperationException("too small to be worth it"));
            foreach (var task in tasks.Skip(3))
            {
                await journal.WriteAsync(TaskRecord.OfAcceptance(task, task.Request!, false), task.NoteAcceptance);
            }

            var before = new FileInfo(path).Length;
            // A start that is on its way to the disk when the snapshot is taken.
            tasks[98].NoteStart();
            var start = journal.NoteAsync(TaskRecord.OfStart(tasks[98], 5));
            await journal.CompactAsync(() => tasks.Skip(97).SelectMany(TaskJournal.RecordsOf));
            await start;
            new FileInfo(path).Length.ShouldBeLessThan(before / 10);
        }

        var replay = new TaskReplay();
        await using var again = TaskJournal.Open(path, replay.Take, TimeProvider.System, NullLogger.Instance);
        replay.Lives.Select(l => (l.Id, l.Started)).ShouldBe([("t97", false), ("t98", true), ("t99", false)]);
    }

    private static TaskEntry Entry(int number)
    {
        var view = new TaskView
        {
            TaskId = $"t{number}", State = TaskState.Queued, SessionId = "s", ModelRef = "demo", Workload = Workload.Completion, Priority = "batch", CreatedMs = 1,
        };
        return new TaskEntry("me", view.TaskId, number, "digest", new TaskRequest { ModelRef = "demo", Prompt = "x" }, null, view);
    }
}
