namespace Loom.Testing;

/// <summary>A folder of its own for one test, gone with it.</summary>
public sealed class TempFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("loom-test-").FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public void Dispose() => Delete(Path);

    /// <summary>Removes a folder; while somebody who is just ending (a guardian, a child) still writes into it, tries again.</summary>
    public static void Delete(string path)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                Directory.Delete(path, recursive: true);
                return;
            }
            catch (DirectoryNotFoundException) when (!Directory.Exists(path))
            {
                return;
            }
            catch (IOException) when (TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromSeconds(20))
            {
                Thread.Sleep(20);
            }
        }
    }
}
