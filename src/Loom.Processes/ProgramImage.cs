using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Loom.Processes.Native;
using Loom.Processes.Spawning;

namespace Loom.Processes;

/// <summary>Puts another program into this process.</summary>
public static unsafe class ProgramImage
{
    /// <summary>
    /// Replaces this process by another program: same pid, session, terminal and standard streams, so that whoever waits for this process waits for that one.
    /// Every other descriptor of .NET closes by itself. Call it before anything was started that must be ended in order: nothing of this program runs on.
    /// </summary>
    /// <param name="path">Absolute path of the program.</param>
    /// <param name="arguments">Its arguments, without its own name.</param>
    /// <param name="environment">Its whole environment.</param>
    /// <exception cref="SpawnException">The kernel refuses it; this process goes on.</exception>
    public static void Replace(string path, ImmutableArray<string> arguments, IReadOnlyDictionary<string, string> environment)
    {
        using var strings = new Spawner.NativeStrings();
        var argumentList = strings.AddList([path, .. arguments]);
        var environmentList = strings.AddList([.. environment.Select(v => $"{v.Key}={v.Value}")]);
        _ = Libc.Execute(strings.Add(path), argumentList, environmentList);
        throw new SpawnException($"cannot run '{path}' in place of this loom: {Marshal.GetLastPInvokeErrorMessage()}", permanent: true);
    }
}
