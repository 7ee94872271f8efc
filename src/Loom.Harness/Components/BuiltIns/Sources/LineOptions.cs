using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>What a source does with a record it cannot read.</summary>
internal enum BadLine
{
    /// <summary>An item error: it goes to the component's error port or the dead letters, and reading goes on.</summary>
    DeadLetter,

    /// <summary>It is counted and left out.</summary>
    Skip,

    /// <summary>The component fails.</summary>
    Fail,
}

/// <summary>What all sources of lines in files share.</summary>
internal abstract record FileLineOptions
{
    [Description("The file, relative to the system's folder, or a pattern: * ? [a-z] {a,b} within a name, ** for any number of folders; links are not followed then. Several files are read in the order of their names.")]
    public required string Path { get; init; }

    [Description("Go on at the end and wait for more, also over rotation by renaming or truncating; the source then ends only with the system. Without it half a last line counts as a line.")]
    public bool Follow { get; init; }

    [Description("How often files that are followed are looked at, also for new ones.")]
    public TimeSpan PollMs { get; init; } = TimeSpan.FromMilliseconds(250);

    [Description("Where a file seen for the first time is read from when it is followed: its start or its present end. After a resume each file goes on where it was left.")]
    public StartAt StartAt { get; init; }

    [Range(1, 1 << 30)]
    [Description("Longest line, in bytes; a longer one is treated as on_bad_line says and is never held in memory.")]
    public int MaxLineBytes { get; init; } = 4 << 20;

    [Description("Whether it is an error when no file is there at the start; a source that follows may wait for one.")]
    public bool MustExist { get; init; } = true;

    [Description("What happens with a line that cannot be read: dead_letter makes it an item error, skip counts it, fail ends the component.")]
    public BadLine OnBadLine { get; init; }
}

/// <summary>Where a followed file begins.</summary>
internal enum StartAt
{
    Start,
    End,
}
