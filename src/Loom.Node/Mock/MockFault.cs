using System.Globalization;

namespace Loom.Node.Mock;

/// <summary>What goes wrong in a request.</summary>
public enum MockFaultKind
{
    None,

    /// <summary>Answers at once with the HTTP status <see cref="MockFault.Number"/>.</summary>
    Status,

    /// <summary>Ends the whole engine process after N tokens, without goodbye.</summary>
    Crash,

    /// <summary>Stops sending after N tokens, keeps the connection.</summary>
    Stall,

    /// <summary>Resets the connection after N tokens.</summary>
    Reset,

    /// <summary>Sends an event that is not JSON after N tokens, then goes on.</summary>
    Malformed,

    /// <summary>Never leaves prefill.</summary>
    HangInPrefill,

    /// <summary>Generates on after the client has left.</summary>
    RefuseCancel,

    /// <summary><c>/health</c> says ok while every other route answers 503 (a fault of the engine, not of one request).</summary>
    LieAboutHealth,
}

/// <summary>One fault, written as <c>crash:5</c>, <c>status:503</c>, <c>hang-in-prefill</c> ...</summary>
/// <param name="Kind">What goes wrong.</param>
/// <param name="Number">Tokens before it happens, or the status.</param>
public readonly record struct MockFault(MockFaultKind Kind, int Number)
{
    /// <summary>The forms <see cref="Parse"/> takes, for help and errors.</summary>
    public const string Grammar = "none, status:CODE, crash:N, stall:N, reset:N, malformed:N, hang-in-prefill, refuse-cancel, lie-about-health";

    public static MockFault None => default;

    /// <summary>Reads the written form.</summary>
    /// <exception cref="FormatException">It is none of <see cref="Grammar"/>.</exception>
    public static MockFault Parse(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var name = colon < 0 ? text : text[..colon];
        var number = 0;
        if (colon >= 0 && !int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out number))
        {
            throw new FormatException($"mock fault '{text}': '{text[(colon + 1)..]}' is not a number; one of: {Grammar}");
        }

        var kind = name switch
        {
            "none" => MockFaultKind.None,
            "status" => MockFaultKind.Status,
            "crash" => MockFaultKind.Crash,
            "stall" => MockFaultKind.Stall,
            "reset" => MockFaultKind.Reset,
            "malformed" => MockFaultKind.Malformed,
            "hang-in-prefill" => MockFaultKind.HangInPrefill,
            "refuse-cancel" => MockFaultKind.RefuseCancel,
            "lie-about-health" => MockFaultKind.LieAboutHealth,
            _ => throw new FormatException($"mock fault '{text}' is unknown; one of: {Grammar}"),
        };
        return kind == MockFaultKind.Status && number is (< 400 or > 599)
            ? throw new FormatException($"mock fault '{text}': a status from 400 to 599 is expected")
            : new MockFault(kind, number);
    }
}
