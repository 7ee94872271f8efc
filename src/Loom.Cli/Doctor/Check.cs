using System.Text.Json.Serialization;

namespace Loom.Cli.Doctor;

/// <summary>How a check came out. A warning does not stop Loom; a failure stops what it names.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<CheckStatus>))]
internal enum CheckStatus
{
    [JsonStringEnumMemberName("pass")]
    Pass,
    [JsonStringEnumMemberName("warning")]
    Warning,
    [JsonStringEnumMemberName("fail")]
    Fail,
}

/// <summary>One finding of the doctor.</summary>
/// <param name="Category">machine, engines, agents or project.</param>
/// <param name="Name">What was looked at.</param>
/// <param name="Status">How it came out.</param>
/// <param name="Message">What was found.</param>
/// <param name="Fix">What mends it; null when nothing needs mending.</param>
internal sealed record Check(string Category, string Name, CheckStatus Status, string Message, string? Fix = null);

internal sealed record DoctorReport(int Schema, bool Ok, IReadOnlyList<Check> Checks);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(DoctorReport))]
internal sealed partial class DoctorJson : JsonSerializerContext;
