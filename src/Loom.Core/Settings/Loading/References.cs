using System.Text;

namespace Loom.Core.Settings;

/// <summary>A reference that could not be followed.</summary>
public sealed record ReferenceFault(string Written, FaultSeverity Severity, FaultCode Code, string Message, string? Fix);

/// <summary>A value with its references replaced.</summary>
/// <param name="Text">The result; references at fault are left out.</param>
/// <param name="Names">Variables it names.</param>
/// <param name="Faults">What went wrong.</param>
/// <param name="IsOnlyReferences">Whether nothing stands beside the references, so that the written value shows nothing secret.</param>
public sealed record Expansion(string Text, List<string> Names, List<ReferenceFault> Faults, bool IsOnlyReferences);

/// <summary>
/// <c>${VAR}</c>, <c>${VAR:-text}</c>, <c>${VAR:?message}</c> and <c>$${</c>. Results are not expanded again; any other <c>$</c> is left alone.
/// </summary>
public static class References
{
    /// <summary>Expands a text; null when it holds no reference at all.</summary>
    /// <param name="text">Value of the file.</param>
    /// <param name="lookup">Value of a variable, null when unset.</param>
    /// <param name="builtIn">Value of a dotted built-in (<c>${agent.name}</c>), for later ones a <see cref="LateReference"/>; null = none may stand here.</param>
    public static Expansion? Expand(string text, Func<string, string?> lookup, Func<string, string>? builtIn)
    {
        if (!text.Contains('$', StringComparison.Ordinal))
        {
            return null;
        }

        if (text.Length > 1 && text[0] == '$' && IsName(text.AsSpan(1)))
        {
            var warning = new ReferenceFault(text, FaultSeverity.Warning, FaultCode.BadReference, $"{text} is taken as it stands", $"${{{text[1..]}}} gives the value of the variable");
            return new Expansion(text, [], [warning], false);
        }

        var open = text.IndexOf("${", StringComparison.Ordinal);
        if (open < 0)
        {
            return null;
        }

        var result = new StringBuilder();
        var names = new List<string>();
        var faults = new List<ReferenceFault>();
        var copied = 0;
        var beside = false;
        for (; open >= 0; open = text.IndexOf("${", copied, StringComparison.Ordinal))
        {
            if (open > copied && text[open - 1] == '$')
            {
                result.Append(text, copied, open - 1 - copied).Append("${");
                copied = open + 2;
                beside = true;
                continue;
            }

            beside |= open > copied;
            result.Append(text, copied, open - copied);
            var close = text.IndexOf('}', open);
            if (close < 0)
            {
                faults.Add(new ReferenceFault(text[open..], FaultSeverity.Error, FaultCode.BadReference, "the closing } is missing", "write $${ for a literal ${"));
                copied = text.Length;
                break;
            }

            var written = text[open..(close + 1)];
            result.Append(One(written, lookup, builtIn, names, faults));
            beside |= written.Contains(":-", StringComparison.Ordinal);
            copied = close + 1;
        }

        beside |= copied < text.Length;
        result.Append(text, copied, text.Length - copied);
        return new Expansion(result.ToString(), names, faults, !beside);
    }

    private static string One(string written, Func<string, string?> lookup, Func<string, string>? builtIn, List<string> names, List<ReferenceFault> faults)
    {
        var body = written[2..^1];
        var colon = body.IndexOf(':', StringComparison.Ordinal);
        var name = colon < 0 ? body : body[..colon];
        var operation = colon < 0 ? "" : body.AsSpan(colon, Math.Min(2, body.Length - colon));
        if (builtIn is not null && IsBuiltIn(body))
        {
            return builtIn(body);
        }

        if (!IsName(name) || operation is not ("" or ":-" or ":?"))
        {
            faults.Add(new ReferenceFault(written, FaultSeverity.Error, FaultCode.BadReference, builtIn is null || !body.Contains('.', StringComparison.Ordinal)
                ? "not a reference; known are ${NAME}, ${NAME:-text} and ${NAME:?message}"
                : "no such built-in; known are ${agent.name}, ${agent.replica}, ${project.dir}, ${port.NAME} and ${run.id}", "write $${ for a literal ${"));
            return "";
        }

        names.Add(name);
        var value = lookup(name);
        switch (operation)
        {
            case ":-":
                return string.IsNullOrEmpty(value) ? body[(colon + 2)..] : value;
            case ":?" when string.IsNullOrEmpty(value):
                faults.Add(new ReferenceFault(written, FaultSeverity.Error, FaultCode.UnsetReference, body[(colon + 2)..], $"export {name}, or put it into .env"));
                return "";
            case "" when value is null:
                faults.Add(new ReferenceFault(written, FaultSeverity.Error, FaultCode.UnsetReference, $"{name} is not set", $"export {name}, put it into .env, or write ${{{name}:-}}"));
                return "";
            default:
                return value ?? "";
        }
    }

    private static bool IsName(ReadOnlySpan<char> text)
    {
        foreach (var c in text)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c != '_')
            {
                return false;
            }
        }

        return !text.IsEmpty && !char.IsAsciiDigit(text[0]);
    }

    private static bool IsBuiltIn(string body) =>
        body is "agent.name" or "agent.replica" or "project.dir" or "run.id" || (body.StartsWith("port.", StringComparison.Ordinal) && body.Length > 5);
}
