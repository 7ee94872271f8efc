using System.Buffers;
using System.Text;

namespace Loom.Processes.Table;

/// <summary>Marks every child carries in its environment, so that a stray is found whatever became of its parents.</summary>
internal static class ChildEnvironment
{
    internal const string RunVariable = "LOOM_RUN_ID";
    internal const string ProcessVariable = "LOOM_PROC_ID";

    private const int Longest = 256 * 1024;

    /// <summary>What a process carries: run id and process id, null where absent or unreadable.</summary>
    internal static (string? Run, string? Process) Read(int pid)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(Longest);
        try
        {
            var length = ProcFile.Read(pid, "environ"u8, buffer.AsSpan(0, Longest));
            return length <= 0 ? (null, null) : Parse(buffer.AsSpan(0, length));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Finds the marks in a zero-separated block.</summary>
    internal static (string? Run, string? Process) Parse(ReadOnlySpan<byte> block)
    {
        if (block.IndexOf("LOOM_RUN_ID="u8) < 0)
        {
            return (null, null); // the usual answer for strangers, without a look at each variable
        }

        string? run = null;
        string? process = null;
        foreach (var range in block.Split((byte)0))
        {
            var item = block[range];
            if (item.StartsWith("LOOM_RUN_ID="u8))
            {
                run = Encoding.UTF8.GetString(item["LOOM_RUN_ID=".Length..]);
            }
            else if (item.StartsWith("LOOM_PROC_ID="u8))
            {
                process = Encoding.UTF8.GetString(item["LOOM_PROC_ID=".Length..]);
            }
        }

        return (run, process);
    }
}
