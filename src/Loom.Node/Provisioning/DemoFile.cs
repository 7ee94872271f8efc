using Loom.Core.Binaries;
using Loom.Core.Storage;
using Loom.Node.Demo;

namespace Loom.Node.Provisioning;

/// <summary>Puts the demo model on disk, whole or not at all.</summary>
public static class DemoFile
{
    /// <summary>Writes it to <paramref name="path"/>; an existing file is replaced.</summary>
    /// <exception cref="ProvisionException">What was written is not the published file: a fault of this build or of the disk.</exception>
    public static void Write(string path, string sha256)
    {
        var temp = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            DemoModelWriter.Write(temp);
            if (Checksum.OfFile(temp) is var found && found != sha256)
            {
                throw new ProvisionException(ProvisionExit.Checksum,
                    $"the demo model written to '{path}' has SHA-256 {found}, {sha256} was expected; check the disk");
            }

            using (var file = new FileStream(temp, FileMode.Open, FileAccess.ReadWrite))
            {
                file.Flush(flushToDisk: true);
            }

            DurableFile.Publish(temp, path);
        }
        finally
        {
            File.Delete(temp);
        }
    }
}
