using System.Text.Json;
using Loom.Core.Storage;
using Loom.Node.Provisioning;
using Loom.Wire;

namespace Loom.Node.Handoff;

/// <summary>Writes handoff files so that a watcher sees them whole or not at all: dot-file beside it, flushed, renamed, mode 0600.</summary>
public static class HandoffWriter
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>Writes one file and makes its folder if it is missing.</summary>
    /// <param name="folder">Absolute folder the agent watches.</param>
    /// <param name="document">What to hand over; pool and replica are set.</param>
    /// <returns>Path of the file.</returns>
    /// <exception cref="ProvisionException">The disk is full or the folder cannot be written (exit 6); no part of a file is left.</exception>
    public static string Write(string folder, HandoffDocument document)
    {
        var path = Path.Combine(folder, $"{document.PoolId}-{document.ReplicaId}.json");
        try
        {
            Directory.CreateDirectory(folder, Private);
            DurableFile.Write(path, JsonSerializer.SerializeToUtf8Bytes(document, NodeJson.Default.HandoffDocument));
            return path;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ProvisionException(ProvisionExit.DiskFull, $"the handoff file '{path}' cannot be written: {e.Message}", e);
        }
    }
}
