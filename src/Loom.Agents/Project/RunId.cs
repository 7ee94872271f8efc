namespace Loom.Agents.Project;

/// <summary>Names one run: 26 characters of Crockford's base 32, 48 bits of time and 80 of chance, so that ids sort by time.</summary>
public static class RunId
{
    private const string Digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    public static string New(TimeProvider time, Random random)
    {
        Span<byte> chance = stackalloc byte[10];
        random.NextBytes(chance);
        var value = (UInt128)time.GetUtcNow().ToUnixTimeMilliseconds();
        foreach (var part in chance)
        {
            value = (value << 8) | part;
        }

        Span<char> text = stackalloc char[26];
        for (var i = 25; i >= 0; i--)
        {
            text[i] = Digits[(int)(value & 31)];
            value >>= 5;
        }

        return new string(text);
    }
}
