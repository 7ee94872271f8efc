namespace Loom.Core.Settings;

/// <summary>Reader of secrets. Its faults never quote the value.</summary>
internal static class SecretParser
{
    public static Judgement Parse(Setting setting, RawValue raw, in ParseContext context)
    {
        var text = ScalarParsers.Text(setting, raw, context);
        if (!text.Ok)
        {
            return text;
        }

        var plain = (string)text.Value!;
        foreach (var c in plain)
        {
            if (char.IsControl(c))
            {
                return Judgement.Bad(FaultCode.Type, "a secret holds a line break or another control character");
            }

            if (setting.Allowed.Length > 0 && c is <= ' ' or > '~')
            {
                return ScalarParsers.Type(setting);
            }
        }

        return setting.Key is "auth.token" ? Judgement.Good(Secret.Token(plain)) : Judgement.Good(Secret.Named(plain, Name(setting, context)));
    }

    /// <summary>The same for a url; the fault tells the schemes, not the value.</summary>
    public static Judgement ParseUrl(Setting setting, RawValue raw, in ParseContext context)
    {
        var url = ScalarParsers.Url(setting, raw, context);
        return url.Ok && url.Value is Uri parsed ? Judgement.Good(Secret.Named(parsed.OriginalString, Name(setting, context))) : url;
    }

    private static string Name(Setting setting, in ParseContext context) =>
        context.SecretName ?? (setting.Variables.Length > 0 ? setting.Variables[0] : setting.Key);
}
