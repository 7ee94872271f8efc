using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Sinks;

/// <summary>Settings of <c>sqlite_out</c>.</summary>
internal sealed record SqliteOutOptions : IValidatableObject
{
    [Description("The database, relative to the system's folder; it is made where it is missing.")]
    public string Path { get; init; } = "data.db";

    [Description("The table rows go to.")]
    public required string Table { get; init; }

    [Description("What a row is known by: an event with the same key replaces the row. Left out: the event's id, so an event that comes again after a crash replaces itself.")]
    public Expression? Key { get; init; }

    [Description("Column that holds the key; it must be the table's primary key or have a unique index.")]
    public string KeyColumn { get; init; } = "_key";

    [Description("Columns and the expressions that fill them. Left out: each field of the payload fills the column of its name.")]
    public IReadOnlyDictionary<string, Expression> Columns { get; init; } = new Dictionary<string, Expression>();

    [Description("Columns that hold vectors: a list of numbers is stored as a BLOB of 32-bit little-endian floats. Other lists and objects are stored as JSON text.")]
    public IReadOnlyList<string> Vectors { get; init; } = ["embedding"];

    [Description("Whether a missing table is made and missing columns are added, _event (the event's id), _time and _mock among them. Without it only columns the table has are written.")]
    public bool Create { get; init; } = true;

    [Range(1, 1_000_000)]
    [Description("Rows in one transaction; with batching each batch is one. A flush, a checkpoint and commit_ms end it too.")]
    public int CommitRows { get; init; } = 500;

    [Description("How long a row may wait for its transaction to end.")]
    public TimeSpan CommitMs { get; init; } = TimeSpan.FromSeconds(1);

    [Description("How long another program's lock on the database is waited for.")]
    public TimeSpan BusyMs { get; init; } = TimeSpan.FromSeconds(5);

    /// <inheritdoc />
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Columns.Keys.FirstOrDefault(c => c.Equals(KeyColumn, StringComparison.OrdinalIgnoreCase)) is { } twice)
        {
            yield return new ValidationResult($"the column \"{twice}\" is filled by key; leave it out here", [nameof(Columns)]);
        }
    }
}
