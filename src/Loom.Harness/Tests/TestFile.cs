using System.Text.Json;

namespace Loom.Harness.Tests;

/// <summary>A <c>*.test.yaml</c>: cases of one system, read and right in itself.</summary>
/// <param name="Name">How messages name it, relative to where the person stands.</param>
/// <param name="Folder">The folder it lies in, absolute; the files it names lie below.</param>
/// <param name="System">Folder of the system, absolute.</param>
/// <param name="Cases">In the order of the file.</param>
internal sealed record TestFile(string Name, string Folder, string System, IReadOnlyList<TestCase> Cases);

/// <summary>A place in a test file.</summary>
internal readonly record struct TestPlace(string File, int Line, int Column)
{
    public override string ToString() => $"{File}:{Line}:{Column}";
}

/// <summary>A port, as <c>component.port</c>.</summary>
internal readonly record struct PortName(string Component, string Port)
{
    public override string ToString() => $"{Component}.{Port}";
}

internal enum TestClock
{
    Virtual,
    Real,
}

/// <summary>How events are compared with what is expected.</summary>
[Flags]
internal enum MatchRules
{
    /// <summary>The same events in the same order.</summary>
    Exact = 0,

    /// <summary>Fields that are not named are not looked at.</summary>
    Subset = 1,

    /// <summary>In any order.</summary>
    Unordered = 2,

    /// <summary>What is expected is a JSON Schema.</summary>
    Schema = 4,
}

/// <summary>One case.</summary>
internal sealed record TestCase
{
    public required string Name { get; init; }

    public required TestPlace Place { get; init; }

    /// <summary>Components that run, and where they are named; null: all.</summary>
    public IReadOnlyDictionary<string, TestPlace>? Only { get; init; }

    public IReadOnlyList<GivenEvents> Given { get; init; } = [];

    public IReadOnlyDictionary<string, MockPlan> Mocks { get; init; } = new Dictionary<string, MockPlan>();

    public IReadOnlyList<ExpectedEvents> Expect { get; init; } = [];

    /// <summary>What becomes of failed events; null: not looked at.</summary>
    public ExpectedEvents? Errors { get; init; }

    public IReadOnlyList<ExpectedMetric> Metrics { get; init; } = [];

    public MatchRules Match { get; init; }

    public TestClock Clock { get; init; }

    /// <summary>What the virtual clock shows at first.</summary>
    public DateTimeOffset Start { get; init; } = DefaultStart;

    /// <summary>Of the order of components, of jitter and of everything else left to chance; 1 by default.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Whether models, tools and HTTP are really asked where no mock stands for them.</summary>
    public bool Live { get; init; }

    /// <summary>Time after the last given event when sources that have not ended are stopped; 1 minute by default.</summary>
    public TimeSpan RunFor { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Real time after which the case is given up; 1 minute by default.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>When the last given event comes in, from the start.</summary>
    public TimeSpan LastGiven => Given.SelectMany(g => g.Events).Select(e => e.At).DefaultIfEmpty().Max();

    public static DateTimeOffset DefaultStart { get; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
}

/// <summary>What a port is fed with.</summary>
internal sealed record GivenEvents(PortName Port, TestPlace Place, IReadOnlyList<GivenEvent> Events);

/// <summary>An event that is fed.</summary>
/// <param name="At">From the start of the case.</param>
/// <param name="Data">Its payload.</param>
/// <param name="Key">Its key, or null.</param>
/// <param name="Time">When it happened; null: when it is fed.</param>
internal sealed record GivenEvent(TimeSpan At, JsonElement Data, string? Key = null, DateTimeOffset? Time = null);

/// <summary>What stands in for a component.</summary>
internal sealed record MockPlan(TestPlace Place)
{
    /// <summary>File of recorded answers, absolute; null: none.</summary>
    public string? Recording { get; init; }

    /// <summary>The same as the test file writes it.</summary>
    public string? RecordingName { get; init; }

    /// <summary>One for each event, in order; a list is several events. Null: none.</summary>
    public IReadOnlyList<JsonElement>? Replies { get; init; }

    public MockFailure? Fail { get; init; }
}

/// <summary>The call that fails, from 1, and how.</summary>
internal sealed record MockFailure(int On, string Code, bool Retryable);

/// <summary>What a port is expected to carry.</summary>
/// <param name="Name"><c>component.port</c>, or <c>errors</c>.</param>
/// <param name="Port">The port; the default value for errors.</param>
/// <param name="Place">Where the expectation stands.</param>
/// <param name="Events">The events, or under <c>schema</c> their schemas.</param>
internal sealed record ExpectedEvents(string Name, PortName Port, TestPlace Place, IReadOnlyList<ExpectedEvent> Events)
{
    /// <summary>The file they come from, absolute; null: they stand in the test file.</summary>
    public string? File { get; init; }

    /// <summary>That file is not there yet.</summary>
    public bool Missing { get; init; }

    /// <summary>Under <c>schema</c>: one schema for every event.</summary>
    public bool ForAll { get; init; }
}

/// <summary>An expected event; null members are not looked at.</summary>
internal sealed record ExpectedEvent(TestPlace Place, JsonElement Data, string? Key = null, DateTimeOffset? Time = null, bool? Mock = null);

/// <summary>A metric's name, the labels it must have, and its value summed over all that fit.</summary>
internal sealed record ExpectedMetric(string Text, string Name, IReadOnlyDictionary<string, string> Labels, double Value, TestPlace Place);
