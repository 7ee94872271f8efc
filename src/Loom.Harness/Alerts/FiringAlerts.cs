using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Core.Storage;
using Loom.Harness.Expressions;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Alerts;

/// <summary>An alert somebody was told of and not yet told the end of.</summary>
/// <param name="Name">The alert.</param>
/// <param name="Since">When its condition began to hold.</param>
/// <param name="Expr">Its condition, for telling the end of one that is none of the system's any more.</param>
/// <param name="Severity">How bad it was said to be.</param>
/// <param name="Webhook">The one webhook that was told; null = all.</param>
internal sealed record FiringAlert(string Name, DateTimeOffset Since, string? Expr = null, AlertSeverity Severity = AlertSeverity.Warning, string? Webhook = null)
{
    /// <summary>What was told.</summary>
    public static FiringAlert Of(AlertChange told) => new(told.Rule.Name, told.Since, told.Rule.Condition.Text, told.Rule.Severity, told.Rule.Webhook);

    /// <summary>The alert as it was when it was told; null where that cannot be known.</summary>
    public AlertRule? Rule()
    {
        try
        {
            return Expr is null ? null : new AlertRule(Name, MetricExpression.Compile(Expr), TimeSpan.Zero, TimeSpan.Zero, Severity, Webhook, BuiltIn: false);
        }
        catch (ExpressionException)
        {
            return null; // of another version of Loom
        }
    }
}

/// <summary>
/// Remembers in the system's state folder which alerts somebody was told of and not of their end, so that a run after one that failed or was killed tells their end, does not tell
/// their beginning twice, and does tell what nobody has taken yet. What goes wrong with the file is told and costs no more than that.
/// </summary>
/// <param name="folder">The system's state folder.</param>
/// <param name="log">Told of a file that cannot be written or read.</param>
internal sealed partial class FiringAlerts(string folder, ILogger log)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, FiringAlert> _told = new(StringComparer.Ordinal);

    // Newest firing of each alert whose end was told: a slower webhook still tells its beginning.
    private readonly Dictionary<string, DateTimeOffset> _over = new(StringComparer.Ordinal);
    private readonly string _file = Path.Combine(folder, "alerts.json");

    /// <summary>Those of the run before.</summary>
    public IReadOnlyList<FiringAlert> Read()
    {
        try
        {
            var kept = File.Exists(_file) ? JsonSerializer.Deserialize(File.ReadAllBytes(_file), FiringAlertsJson.Default.FiringAlertArray) ?? [] : [];
            lock (_gate)
            {
                foreach (var alert in kept)
                {
                    _told[alert.Name] = alert;
                }
            }

            return kept;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            LogTrouble(log, e.Message);
            return [];
        }
    }

    /// <summary>Keeps what somebody was told.</summary>
    /// <param name="change">What a receiver has taken.</param>
    public void Delivered(AlertChange change)
    {
        var name = change.Rule.Name;
        lock (_gate)
        {
            if (!change.Fires)
            {
                _over[name] = change.Since;
                if (_told.TryGetValue(name, out var told) && told.Since <= change.Since && _told.Remove(name))
                {
                    Write();
                }
            }
            else if (!(_over.TryGetValue(name, out var over) && change.Since <= over) && !_told.ContainsKey(name))
            {
                _told[name] = FiringAlert.Of(change);
                Write();
            }
        }
    }

    private void Write()
    {
        try
        {
            if (_told.Count > 0)
            {
                DurableFile.Write(_file, JsonSerializer.SerializeToUtf8Bytes([.. _told.Values], FiringAlertsJson.Default.FiringAlertArray));
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

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UseStringEnumConverter = true)]
[JsonSerializable(typeof(FiringAlert[]))]
internal sealed partial class FiringAlertsJson : JsonSerializerContext;
