using Loom.Runtime;

namespace Loom.Samples;

/// <summary>Fetches one exact version of a program, past whatever is cached.</summary>
internal static class CustomBinary
{
    public static async Task<int> RunAsync(string name, string version)
    {
        try
        {
            var binary = await LoomRuntime.GetBinaryAsync(name, version, forceDownload: true).ConfigureAwait(false);
            Console.WriteLine($"Binary location: {binary}");
            Console.WriteLine($"Cache directory: {LoomRuntime.CacheDir()}");
            return 0;
        }
        catch (LoomException e)
        {
            Console.Error.WriteLine(e.Message);
            return e.ExitCode;
        }
    }
}
