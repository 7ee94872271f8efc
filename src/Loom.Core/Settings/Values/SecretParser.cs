namespace Loom.Core.Settings;

/// <summary>Reader of secrets. Its faults never quote the value.</summary>
internal static class SecretParser
{
    public static Reading<Secret> Parse(Setting setting, in RawValue raw, in ParseContext context)
    {
        var text = ScalarParsers.Text(setting, raw, context);
        if (!text.Ok)
        {
            return new Misread(text.Code, text.Message);
        }

        foreach (var c in text.Value)
        {
            if (char.IsControl(c))
            {
                return new Misread(FaultCode.Type, "a secret holds a line break or another control character");
            }

            if (setting.Allowed.Length > 0 && c is <= ' ' or > '~')
            {
                return ScalarParsers.Type(setting);
            }
        }

        return setting.Key is "auth.token" ? Secret.Token(text.Value) : Secret.Named(text.Value, Name(setting, context));
    }

    private static string Name(Setting setting, in ParseContext context) =>
        context.SecretName ?? (setting.Variables.Length > 0 ? setting.Variables[0] : setting.Key);
}
