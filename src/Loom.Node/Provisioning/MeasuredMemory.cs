using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Core.Storage;
using Loom.Node.Engines;
using Loom.Node.Plans;

namespace Loom.Node.Provisioning;

/// <summary>
/// What engines took when they last ran, by model, context and build; kept in <c>measured.json</c> of the cache folder. An estimate is a guess from a header;
/// what was seen corrects it. A file that cannot be read or written costs the correction and nothing else.
/// </summary>
/// <param name="cacheDir">Absolute.</param>
public sealed class MeasuredMemory(string cacheDir)
{
    private static readonly Lock s_writing = new(); // the file is shared by all pools of this process

    private string File => Path.Combine(cacheDir, "measured.json");

    /// <summary>What is measured together: another model file, context, build or place of the layers is another measurement.</summary>
    public static string KeyOf(PoolPlan pool, PreparedEngine engine, PreparedModel model, bool onGpu)
    {
        var ctx = pool.Ctx ?? Math.Min(model.Ctx ?? LaunchRequest.DefaultCtx, LaunchRequest.DefaultCtx);
        var file = model.Sha256 ?? string.Create(CultureInfo.InvariantCulture, $"{model.Path}:{model.Bytes}");
        var place = !onGpu ? "cpu" : pool.GpuLayers is { } layers ? string.Create(CultureInfo.InvariantCulture, $"gpu:{layers}") : "gpu";
        return string.Create(CultureInfo.InvariantCulture, $"{pool.Engine.Kind} {engine.Version ?? engine.Program}|{file}|{pool.EffectiveSlots}x{ctx}|{place}");
    }

    /// <summary>Bytes it took; null = it never ran here.</summary>
    public long? Of(string key) => Read().TryGetValue(key, out var bytes) ? bytes : null;

    /// <summary>Remembers what it took.</summary>
    public void Remember(string key, long bytes)
    {
        if (bytes <= 0)
        {
            return;
        }

        lock (s_writing)
        {
            var known = Read();
            known[key] = bytes;
            try
            {
                Directory.CreateDirectory(cacheDir, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
                DurableFile.Write(File, JsonSerializer.SerializeToUtf8Bytes(known, MeasuredJson.Default.SortedDictionaryStringInt64));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // A full disk or a folder of somebody else: the next start estimates.
            }
        }
    }

    private SortedDictionary<string, long> Read()
    {
        try
        {
            return JsonSerializer.Deserialize(System.IO.File.ReadAllBytes(File), MeasuredJson.Default.SortedDictionaryStringInt64) ?? [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return [];
        }
    }
}

[JsonSourceGenerationOptions(WriteIndented = true)]
[JsonSerializable(typeof(SortedDictionary<string, long>))]
internal sealed partial class MeasuredJson : JsonSerializerContext;
