namespace Loom.Core.Settings;

/// <summary>Code of a configuration fault; the number is what users see after <c>CFG</c>.</summary>
public enum FaultCode
{
    None = 0,

    /// <summary>A file that cannot be read as what it is.</summary>
    Syntax = 1,

    /// <summary>A file that cannot be opened, is too large, or is missing although listed.</summary>
    File = 2,
    UnknownKey = 10,
    UnknownVariable = 11,
    Type = 20,
    NotOneOf = 21,
    Range = 22,
    Empty = 23,
    UnsetReference = 30,
    BadReference = 31,
    Missing = 40,
    Conflict = 41,

    /// <summary>A rule over several settings; the text begins with its R number.</summary>
    Rule = 42,
    WrongLayer = 50,
}
