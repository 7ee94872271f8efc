namespace Loom.Control.Tasks;

/// <summary>Puts the records of a journal together to the lives of tasks. Pure; a record read twice does no harm.</summary>
internal sealed class TaskReplay
{
    private readonly Dictionary<(string Owner, string Id), Life> _byId = [];

    /// <summary>The tasks, in the order of their acceptance.</summary>
    public List<Life> Lives { get; } = [];

    /// <summary>Takes the next record.</summary>
    public void Take(TaskRecord record)
    {
        var key = (record.Owner ?? "", record.TaskId);
        _byId.TryGetValue(key, out var life);
        switch (record.Kind)
        {
            case "accepted" when record.Request is not null:
                if (life is null || life.End is not null)
                {
                    // An id may be used again once its task was forgotten.
                    Drop(life);
                    life = Add(key);
                }

                life.Accepted = record;
                life.Digest = record.Digest ?? "";
                life.Started |= record.Started == true;
                break;
            case "started" when life is not null:
                life.Started = true;
                break;
            case "ended" when record.End is not null:
                life ??= Add(key);
                life.End = record.End;
                life.Digest = record.Digest ?? life.Digest;
                break;
        }
    }

    private Life Add((string Owner, string Id) key)
    {
        var life = new Life(key.Owner, key.Id);
        _byId[key] = life;
        Lives.Add(life);
        return life;
    }

    private void Drop(Life? life)
    {
        if (life is not null)
        {
            Lives.Remove(life);
        }
    }

    /// <summary>What the journal knows of one task.</summary>
    internal sealed class Life(string owner, string id)
    {
        public string Owner { get; } = owner;

        public string Id { get; } = id;

        public string Digest { get; set; } = "";

        public TaskRecord? Accepted { get; set; }

        public bool Started { get; set; }

        public TaskView? End { get; set; }
    }
}
