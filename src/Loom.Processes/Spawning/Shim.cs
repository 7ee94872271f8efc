using System.Collections.Immutable;
using System.Text;

namespace Loom.Processes.Spawning;

/// <summary>
/// What must hold before a program begins and posix_spawn cannot do: a small program of the system does it to itself and then becomes the program, under the
/// same pid. Setting it from outside comes too late on a busy machine: a quick child has forked by then, or has read its limits.
/// </summary>
internal static class Shim
{
    private const int LongestFirstLine = 256; // the kernel reads no more
    private const string Shell = "/bin/sh";

    /// <summary>"0" means whoever writes it. Refused, it says so in the child's log and goes on: the other marks still find what it starts.</summary>
    private const string EnterGroup = "echo 0 > \"$0\"; exec \"$@\"";

    /// <summary>Looks at what the kernel would tell of a script if it were begun directly: that its interpreter does not exist. Behind a shim it shows only as an exit code like any other.</summary>
    /// <exception cref="SpawnException">It does not exist.</exception>
    internal static void CheckBegin(string program)
    {
        try
        {
            using var file = File.OpenHandle(program);
            Span<byte> first = stackalloc byte[LongestFirstLine];
            first = first[..RandomAccess.Read(file, first, 0)];
            if (!first.StartsWith("#!"u8))
            {
                return;
            }

            var line = first[2..];
            line = line[..(line.IndexOf((byte)'\n') is >= 0 and var end ? end : line.Length)].Trim(" \t"u8);
            var interpreter = Encoding.UTF8.GetString(line[..(line.IndexOfAny(" \t"u8) is >= 0 and var space ? space : line.Length)]);
            if (interpreter.StartsWith('/') && !File.Exists(interpreter))
            {
                throw new SpawnException($"cannot start '{program}': the interpreter in its first line, {interpreter}, does not exist", permanent: true);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A program may be run and not read.
        }
    }

    /// <summary>A command that limits its descriptors, soft and hard, and becomes <paramref name="command"/>.</summary>
    /// <exception cref="SpawnException">The system has no <c>prlimit</c>.</exception>
    internal static ImmutableArray<string> LimitFiles(ImmutableArray<string> command, int most) =>
        CommandPath.Find("prlimit") is { } prlimit
            ? [prlimit, $"--nofile={most}:{most}", "--", .. command]
            : throw new SpawnException(
                $"cannot start '{command[0]}' with limits.nofile = {most}: 'prlimit' is not installed (package util-linux); install it, or take the limit out", permanent: true);

    /// <summary>A command that enters a cgroup and becomes <paramref name="command"/>, whose first item is a path.</summary>
    internal static ImmutableArray<string> Enter(ImmutableArray<string> command, string group) => [Shell, "-c", EnterGroup, Path.Combine(group, "cgroup.procs"), .. command];

    /// <summary>Whether a shell passes all these variables on: it drops names that are none for it.</summary>
    internal static bool Keeps(IEnumerable<string> names) => names.All(n => n.Length > 0 && !char.IsAsciiDigit(n[0]) && n.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'));
}
