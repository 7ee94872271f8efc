using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Core.Storage;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Alerts;

/// <summary>An alert somebody was told of and not yet told the end of.</summary>
/// <param name="Name">The alert.</param>
/// <param name="Since">When its condition began to hold.</param>
internal sealed record FiringAlert(string Name, DateTimeOffset Since);

/// <summary>
/// Remembers in the system's state folder which alerts fire, so that a run after one that failed or was killed tells their end, and does not tell their beginning twice. What
/// goes wrong with the file is told and costs no more than that.
/// </summary>
/// <param name="folder">The system's state folder.</param>
/// <param name="log">Told of a file that cannot be written or read.</param>
internal sealed partial class FiringAlerts(string folder, ILogger log)
{
    private readonly string _file = Path.Combine(folder, "alerts.json");

    /// <summary>Those of the run before.</summary>
    public IReadOnlyList<FiringAlert> Read()
    {
        try
        {
            return File.Exists(_file) ? JsonSerializer.Deserialize(File.ReadAllBytes(_file), FiringAlertsJson.Default.FiringAlertArray) ?? [] : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            LogTrouble(log, e.Message);
            return [];
        }
    }

    /// <summary>Keeps those that fire now.</summary>
    public void Write(IEnumerable<FiringAlert> firing)
    {
        try
        {
            FiringAlert[] all = [.. firing];
            if (all.Length > 0)
            {
                DurableFile.Write(_file, JsonSerializer.SerializeToUtf8Bytes(all, FiringAlertsJson.Default.FiringAlertArray));
            }
            else
            {
                File.Delete(_file);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogTrouble(log, e.Message);
        }
    }

    [LoggerMessage(EventId = 4604, Level = LogLevel.Warning, Message = "which alerts fire cannot be kept for the next run, which may tell of one twice or not of its end: {Why}")]
    private static partial void LogTrouble(ILogger logger, string why);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(FiringAlert[]))]
internal sealed partial class FiringAlertsJson : JsonSerializerContext;
