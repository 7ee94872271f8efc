using System.Globalization;

namespace Loom.Processes.Guarding;

/// <summary>What the supervisor tells its guardian, one line each: a closed set.</summary>
internal abstract record GuardianMessage
{
    private GuardianMessage()
    {
    }

    /// <summary>A child was started.</summary>
    internal sealed record Child(ProcessIdentity Identity, TimeSpan Grace, string Name) : GuardianMessage;

    /// <summary>A process outside its parent's session was seen.</summary>
    internal sealed record Stray(ProcessIdentity Identity) : GuardianMessage;

    /// <summary>A child or stray is completely gone.</summary>
    internal sealed record Gone(ProcessIdentity Identity) : GuardianMessage;

    /// <summary>A clean end: nothing is left, nothing is to be done.</summary>
    internal sealed record Bye : GuardianMessage;

    public sealed override string ToString() => this switch
    {
        Child c => string.Create(CultureInfo.InvariantCulture, $"child {c.Identity.Pid} {c.Identity.StartTicks} {c.Grace.TotalMilliseconds:0} {c.Name}"),
        Stray s => string.Create(CultureInfo.InvariantCulture, $"stray {s.Identity.Pid} {s.Identity.StartTicks}"),
        Gone g => string.Create(CultureInfo.InvariantCulture, $"gone {g.Identity.Pid} {g.Identity.StartTicks}"),
        _ => "bye",
    };

    /// <summary>Reads one line; null for one that was cut off by the supervisor's death, or is not ours.</summary>
    internal static GuardianMessage? Parse(string line)
    {
        var fields = line.Split(' ', 5);
        if (fields is ["bye"])
        {
            return new Bye();
        }

        if (fields.Length < 3
            || !int.TryParse(fields[1], NumberStyles.None, CultureInfo.InvariantCulture, out var pid) || pid <= 1
            || !long.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out var ticks))
        {
            return null;
        }

        var identity = new ProcessIdentity(pid, ticks);
        return fields switch
        {
            ["child", _, _, var grace, var name] when long.TryParse(grace, NumberStyles.None, CultureInfo.InvariantCulture, out var ms)
                => new Child(identity, TimeSpan.FromMilliseconds(ms), name),
            ["stray", _, _] => new Stray(identity),
            ["gone", _, _] => new Gone(identity),
            _ => null,
        };
    }
}
