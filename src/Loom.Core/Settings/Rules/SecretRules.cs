namespace Loom.Core.Settings.Rules;

/// <summary>Secrets that are weak or lie open: R16.</summary>
internal static class SecretRules
{
    private const int LeastLength = 32;

    public static void ShortToken(Draft draft)
    {
        if (!draft.IsAtFault("auth.token") && draft.Value<Secret>("auth.token") is { } token && token.Reveal().Length < LeastLength)
        {
            var key = draft.IsGiven("auth.token") ? "auth.token" : "auth.token_file";
            draft.Report("R16", key, $"the token is shorter than {LeastLength} characters", "openssl rand -hex 32", FaultSeverity.Warning);
        }
    }

    public static void WrittenOut(Draft draft)
    {
        foreach (var given in draft.AllGiven())
        {
            // Variables of children are secret to be safe; most hold nothing secret, and `${}` is not asked of them.
            if (given is { Setting.IsSecret: true, Source.Layer: SettingLayer.File, HasReference: false, Value: not null } && !given.Setting.Key.EndsWith(".env.*", StringComparison.Ordinal))
            {
                draft.Report("R16", KeyText.Join(given.Parts), "a secret is written out in loom.toml, which is made to be shared", "put it into a variable or .env and write ${NAME} here", FaultSeverity.Warning);
            }
        }
    }
}
