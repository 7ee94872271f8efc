namespace Loom.Core.Settings;

/// <summary>Outcome of reading one value: the value, or the code and sentence of a fault.</summary>
internal readonly struct Reading<T>
    where T : notnull
{
    private readonly T? _value;

    private Reading(T? value, FaultCode code, string message)
    {
        _value = value;
        Code = code;
        Message = message;
    }

    public bool Ok => Code == FaultCode.None;

    public T Value => _value!;

    public FaultCode Code { get; }

    public string Message { get; }

    public static implicit operator Reading<T>(T value) => new(value, FaultCode.None, "");

    public static implicit operator Reading<T>(Misread fault) => new(default, fault.Code, fault.Message);
}

/// <summary>A value that could not be read.</summary>
internal readonly record struct Misread(FaultCode Code, string Message);

/// <summary>Outcome of <see cref="Setting.Parse"/>, without its type.</summary>
/// <param name="Value">The value, or null for a fault.</param>
/// <param name="Code">The fault, or <see cref="FaultCode.None"/>.</param>
/// <param name="Message">What was expected.</param>
internal readonly record struct Judgement(object? Value, FaultCode Code, string Message)
{
    public bool Ok => Code == FaultCode.None;

    public static Judgement Good(object value) => new(value, FaultCode.None, "");
}
