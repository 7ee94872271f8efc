using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Agents.Discovery;

/// <summary>Something wrong with what a project asks for, found by the code that plans: the same for <c>config check</c> and for a start.</summary>
/// <param name="Code">Kind of fault.</param>
/// <param name="Key">Concrete key, or that of a table.</param>
/// <param name="Message">What is wrong.</param>
/// <param name="Fix">What mends it.</param>
internal sealed record Finding(FaultCode Code, string Key, string Message, string? Fix)
{
    /// <summary>R number, or null.</summary>
    public string? Rule { get; init; }

    /// <summary>Keys it is concluded from: where one of them is at fault, it may not hold and is not told.</summary>
    public ImmutableArray<string> Premises { get; init; } = [];

    public FaultSeverity Severity { get; init; } = FaultSeverity.Error;

    /// <summary>File at fault where the key stands nowhere, relative to the project.</summary>
    public string? File { get; init; }

    /// <summary>A broken cross rule.</summary>
    public static Finding Of(string rule, string key, string message, string? fix) => new(FaultCode.Rule, key, $"{rule}: {message}", fix) { Rule = rule };
}
