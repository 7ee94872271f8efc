using Loom.Cli.Terminal;
using Loom.Cli.Verbs;

namespace Loom.Cli.Scaffolds;

/// <summary>Writes the files of a scaffold. What exists is never touched.</summary>
internal static class NewFiles
{
    /// <summary>Writes those that are missing, and says what was done.</summary>
    /// <returns>Paths written.</returns>
    /// <exception cref="CliError">A file cannot be written.</exception>
    public static async Task<IReadOnlyList<string>> WriteAsync(VerbContext context, IEnumerable<(string Path, string Text)> files, CancellationToken cancellationToken)
    {
        var written = new List<string>();
        foreach (var (path, text) in files)
        {
            var shown = Path.GetRelativePath(context.WorkingDirectory, path);
            try
            {
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None);
                await using (file.ConfigureAwait(false))
                {
                    var writer = new StreamWriter(file);
                    await using (writer.ConfigureAwait(false))
                    {
                        await writer.WriteAsync(text.AsMemory(), cancellationToken).ConfigureAwait(false);
                    }
                }

                written.Add(path);
                context.Terminal.Note($"created {shown}");
            }
            catch (IOException) when (File.Exists(path))
            {
                context.Terminal.Note($"kept    {shown} (it was there)");
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new CliError(ExitCode.Failed, "CANNOT_WRITE", $"cannot create {path}: {e.Message}", "choose a folder you may write to");
            }
        }

        return written;
    }
}
