namespace Loom.Core.Settings;

/// <summary>
/// Outcome of reading one value: the value, or the code and sentence of a fault. Not generic on purpose: a generic over value types is compiled anew at
/// every start, and reading settings is the first thing each start does.
/// </summary>
/// <param name="Value">The value, or null for a fault.</param>
/// <param name="Code">The fault, or <see cref="FaultCode.None"/>.</param>
/// <param name="Message">What was expected.</param>
internal sealed record Judgement(object? Value, FaultCode Code, string Message)
{
    public bool Ok => Code == FaultCode.None;

    public static Judgement Good(object value) => new(value, FaultCode.None, "");

    public static Judgement Bad(FaultCode code, string message) => new(null, code, message);
}

/// <summary>Reads a raw value under the bounds of a setting.</summary>
internal delegate Judgement ValueParser(Setting setting, RawValue raw, in ParseContext context);
