using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>What becomes of a file once everything made of it is confirmed.</summary>
internal enum DoneFile
{
    Keep,
    Move,
    Delete,
}

/// <summary>Settings of <c>dir_watch</c>.</summary>
internal sealed record DirWatchOptions : IValidatableObject
{
    [Description("The folder, relative to the system's; its subfolders belong to it. It may come later.")]
    public required string Path { get; init; }

    [Description("Which files below it: * ? [a-z] {a,b} within a name, ** for any number of folders. Names that begin with a dot need a pattern that writes the dot; links are not followed.")]
    public string Glob { get; init; } = "**/*";

    [Description("How long a file must be unchanged before it is read, so that half a copy is not taken for a file.")]
    public TimeSpan SettleMs { get; init; } = TimeSpan.FromMilliseconds(500);

    [Description("How often the whole folder is looked through, for changes nobody told of (network disks, lost notices).")]
    public TimeSpan Rescan { get; init; } = TimeSpan.FromSeconds(30);

    [Description("What becomes of a file once everything made of it is confirmed or dead-lettered: keep, move (to move_to) or delete. A file that changed meanwhile stays and is read again; one that could not be read stays.")]
    public DoneFile OnDone { get; init; }

    [Description("Where on_done: move puts files, with their folders below path; an older file of the name is replaced. Relative to the system's folder.")]
    public string? MoveTo { get; init; }

    [Description("What of a file becomes part of its event: text (UTF-8, in a field \"text\"), base64 (in a field \"base64\") or none.")]
    public FileContent Content { get; init; }

    [Range(0, 1 << 30)]
    [Description("Largest file that is read, in bytes; a larger one is an item error.")]
    public int MaxBytes { get; init; } = 4 << 20;

    [Description("End when every file that was there at the start has been read, instead of waiting for more.")]
    public bool Once { get; init; }

    /// <inheritdoc />
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (OnDone == DoneFile.Move == (MoveTo is null))
        {
            yield return new ValidationResult("on_done: move needs move_to, and nothing else does", [nameof(MoveTo)]);
        }
    }
}
