using System.Collections.Immutable;
using System.Globalization;
using System.IO.Enumeration;
using System.Runtime.InteropServices;
using System.Text;
using Loom.Processes.Native;

namespace Loom.Processes.Table;

/// <summary>One line of the table: what <c>/proc/PID/stat</c> says.</summary>
internal readonly record struct ProcessEntry(int Pid, int Parent, int Group, int Session, char State, long StartTicks)
{
    /// <summary>Processor time, own and of waited-for children, in ticks of 10 ms.</summary>
    internal long CpuTicks { get; init; }

    internal long ResidentPages { get; init; }

    /// <summary>A zombie holds a number and nothing else; it does not count as alive.</summary>
    internal bool Alive => State is not ('Z' or 'X' or 'x');

    internal ProcessIdentity Identity => new(Pid, StartTicks);
}

/// <summary>All processes at one moment, zombies included. A snapshot: by the time it is read, it may be old.</summary>
internal sealed class ProcessTable
{
    // Sorted arrays instead of dictionaries: a table is read every second and thrown away.
    private (int Parent, int Pid)[]? _byParent;

    internal ProcessTable(IEnumerable<ProcessEntry> entries)
    {
        var sorted = entries.ToArray();
        Array.Sort(sorted, static (a, b) => a.Pid.CompareTo(b.Pid));
        Entries = ImmutableCollectionsMarshal.AsImmutableArray(sorted);
    }

    /// <summary>By pid.</summary>
    internal ImmutableArray<ProcessEntry> Entries { get; }

    internal ProcessEntry? Find(int pid)
    {
        var (low, high) = (0, Entries.Length - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            var found = Entries[middle].Pid;
            if (found == pid)
            {
                return Entries[middle];
            }

            (low, high) = found < pid ? (middle + 1, high) : (low, middle - 1);
        }

        return null;
    }

    /// <summary>True while the very process lives: same pid, same start, not a zombie.</summary>
    internal bool IsAlive(ProcessIdentity identity) =>
        Find(identity.Pid) is { Alive: true } entry && entry.StartTicks == identity.StartTicks;

    /// <summary>Whether anything hangs directly below it.</summary>
    internal bool HasChildren(int pid) => FirstChild(pid) is var at && at < _byParent!.Length && _byParent[at].Parent == pid;

    /// <summary>All below <paramref name="roots"/> in the parent tree, without the roots.</summary>
    internal HashSet<int> Descendants(IEnumerable<int> roots)
    {
        var found = new HashSet<int>();
        var open = new Stack<int>(roots);
        while (open.TryPop(out var pid))
        {
            for (var at = FirstChild(pid); at < _byParent!.Length && _byParent[at].Parent == pid; at++)
            {
                if (found.Add(_byParent[at].Pid))
                {
                    open.Push(_byParent[at].Pid);
                }
            }
        }

        return found;
    }

    private int FirstChild(int parent)
    {
        if (_byParent is null)
        {
            _byParent = [.. Entries.Select(e => (e.Parent, e.Pid))];
            Array.Sort(_byParent);
        }

        var at = Array.BinarySearch(_byParent, (parent, 0));
        return at < 0 ? ~at : at;
    }

    /// <summary>Reads the whole table; processes that end meanwhile are left out.</summary>
    internal static ProcessTable Read()
    {
        var entries = new List<ProcessEntry>(256);
        foreach (var pid in Pids())
        {
            if (pid > 0 && ReadEntry(pid) is { } entry)
            {
                entries.Add(entry);
            }
        }

        return new ProcessTable(entries);
    }

    /// <summary>The numbers under /proc, 0 for other names; without a string for each, since this is read every second.</summary>
    private static FileSystemEnumerable<int> Pids() => new(
        "/proc",
        static (ref entry) => int.TryParse(entry.FileName, NumberStyles.None, CultureInfo.InvariantCulture, out var pid) ? pid : 0,
        new EnumerationOptions { AttributesToSkip = 0, IgnoreInaccessible = false });

    /// <summary>Reads one process; null when there is none.</summary>
    internal static ProcessEntry? ReadEntry(int pid)
    {
        Span<byte> buffer = stackalloc byte[1024];
        var length = ProcFile.Read(pid, "stat"u8, buffer);
        return length <= 0 ? null : Parse(pid, buffer[..length]);
    }

    /// <summary>Parses a stat line. The name may hold blanks and brackets, so fields count from the last bracket.</summary>
    internal static ProcessEntry? Parse(int pid, ReadOnlySpan<byte> line)
    {
        var close = line.LastIndexOf((byte)')');
        if (close < 0 || close + 2 >= line.Length)
        {
            return null;
        }

        var fields = new FieldReader(line[(close + 2)..]);
        var state = (char)fields.Next()[0];
        var parent = (int)fields.Number();
        var group = (int)fields.Number();
        var session = (int)fields.Number();
        fields.Skip(7); // tty .. cmajflt: fields 7 to 13
        var cpu = fields.Number() + fields.Number() + fields.Number() + fields.Number(); // user and system time, own and of waited-for children
        fields.Skip(4); // priority .. itrealvalue: fields 18 to 21
        var ticks = fields.Number();
        fields.Skip(1); // vsize
        return new ProcessEntry(pid, parent, group, session, state, ticks) { CpuTicks = cpu, ResidentPages = fields.Number() };
    }

    private ref struct FieldReader(ReadOnlySpan<byte> text)
    {
        private ReadOnlySpan<byte> _rest = text;

        internal ReadOnlySpan<byte> Next()
        {
            var end = _rest.IndexOf((byte)' ');
            var field = end < 0 ? _rest : _rest[..end];
            _rest = end < 0 ? [] : _rest[(end + 1)..];
            return field;
        }

        internal long Number() => long.TryParse(Next(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value : 0;

        internal void Skip(int count)
        {
            for (var i = 0; i < count; i++)
            {
                _ = Next();
            }
        }
    }
}

/// <summary>Small raw reads below <c>/proc/PID</c>: no stream, no allocation, no exception for a process that has gone.</summary>
internal static unsafe class ProcFile
{
    /// <summary>Reads the beginning of a file into <paramref name="target"/>; -1 when it cannot be read.</summary>
    internal static int Read(int pid, ReadOnlySpan<byte> name, Span<byte> target)
    {
        Span<byte> path = stackalloc byte[64];
        "/proc/"u8.CopyTo(path);
        var at = 6;
        pid.TryFormat(path[at..], out var digits, default, CultureInfo.InvariantCulture);
        at += digits;
        path[at++] = (byte)'/';
        name.CopyTo(path[at..]);
        path[at + name.Length] = 0;
        int descriptor;
        fixed (byte* p = path)
        {
            descriptor = Libc.Open(p, Linux.ReadOnly | Linux.Cloexec, 0);
        }

        if (descriptor < 0)
        {
            return -1;
        }

        try
        {
            var total = 0;
            fixed (byte* p = target)
            {
                while (total < target.Length)
                {
                    var count = (int)Libc.Read(descriptor, p + total, (nuint)(target.Length - total));
                    if (count <= 0)
                    {
                        break;
                    }

                    total += count;
                }
            }

            return total;
        }
        finally
        {
            _ = Libc.Close(descriptor);
        }
    }

    /// <summary>The command line for a person to read, or the kernel's name of it; never empty.</summary>
    internal static string CommandOf(int pid)
    {
        Span<byte> buffer = stackalloc byte[512];
        var length = Read(pid, "cmdline"u8, buffer);
        if (length > 0)
        {
            return Encoding.UTF8.GetString(buffer[..length]).Replace('\0', ' ').Trim();
        }

        return NameOf(pid);
    }

    /// <summary>The kernel's short name of it, at most 15 bytes; never empty.</summary>
    internal static string NameOf(int pid)
    {
        Span<byte> buffer = stackalloc byte[64];
        var length = Read(pid, "comm"u8, buffer);
        return length > 0 ? Encoding.UTF8.GetString(buffer[..length]).Trim() : "unknown";
    }
}
