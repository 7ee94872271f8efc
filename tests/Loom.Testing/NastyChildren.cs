using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace Loom.Testing;

/// <summary>
/// Ten kinds of children as they occur in the wild, each a POSIX shell line. Everything they start bears a mark in its command line, so that survivors are
/// found without trusting what is under test. The mark is a number: it is also how long they sleep.
/// </summary>
public static class NastyChildren
{
    /// <summary>Name and script; <c>$0</c> is the mark.</summary>
    public static ImmutableArray<(string Name, string Script)> Kinds { get; } =
    [
        ("plain", "exec sleep $0"),
        ("ignores-term", "trap '' TERM; while :; do sleep $0; done"),
        ("double-fork", "( ( sleep $0 & ) & ); exec sleep $0"),
        ("setsid", "setsid sleep $0 & exec sleep $0"),
        ("holds-the-pipe", "( trap '' TERM; while :; do echo tick; sleep 0.5; done ) & exec sleep $0"),
        ("wrapper-chain", "sh -c 'sh -c \"sleep $0; :\" $0; :' $0; :"),
        ("stopped", "kill -STOP $$; exec sleep $0"),
        ("clean-environment", "(setsid env -i sleep $0 &); (env -i sh -c 'setsid sh -c \"trap : TERM; sleep $0; :\" $0 & :' $0); exec env -i sleep $0"),
        ("slow-exit", "trap 'sleep 0.2; exit 0' TERM; while :; do sleep 0.1; done"),
        ("fork-loop", "i=0; while [ $i -lt 60 ]; do sleep $0 & i=$((i+1)); sleep 0.1; done; wait"),
    ];

    /// <summary>A mark that nothing else on this machine bears.</summary>
    public static string NewMark() => string.Create(CultureInfo.InvariantCulture, $"86400.{Random.Shared.NextInt64(1_000_000_000_000):000000000000}");

    /// <summary>Live processes that bear the mark: pid and command line.</summary>
    public static ImmutableArray<string> Survivors(string mark)
    {
        var found = ImmutableArray.CreateBuilder<string>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var pid) || pid == Environment.ProcessId)
            {
                continue;
            }

            try
            {
                var command = Encoding.UTF8.GetString(File.ReadAllBytes($"{folder}/cmdline")); // empty for a zombie
                if (command.Contains(mark, StringComparison.Ordinal) && !command.Contains("supervise", StringComparison.Ordinal))
                {
                    found.Add($"{pid}: {command.Replace('\0', ' ').Trim()}");
                }
            }
            catch (IOException)
            {
                // ended meanwhile
            }
            catch (UnauthorizedAccessException)
            {
            }
        }

        return found.ToImmutable();
    }
}
