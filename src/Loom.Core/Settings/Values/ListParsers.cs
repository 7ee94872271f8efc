using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;

namespace Loom.Core.Settings;

/// <summary>Readers of lists and sets: comma-separated text, a JSON array, or a TOML array.</summary>
internal static class ListParsers
{
    public static Judgement Strings(Setting setting, RawValue raw, in ParseContext context)
    {
        if (Items(raw) is not { } items)
        {
            return ScalarParsers.Type(setting);
        }

        var closed = setting.Allowed.Length > 0 && setting.Unit is not "url" ? setting.Allowed.Split(';') : null;
        var result = ImmutableArray.CreateBuilder<string>(items.Length);
        foreach (var item in items)
        {
            if (item.Length == 0)
            {
                return Judgement.Bad(FaultCode.Empty, "an item is empty");
            }

            if (closed is not null && !closed.Contains(Bare(setting, item), StringComparer.OrdinalIgnoreCase))
            {
                return Judgement.Bad(FaultCode.NotOneOf, $"'{item}' is {Expectation.Of(setting).Replace("expected a list of these", "not one of", StringComparison.Ordinal)}");
            }

            result.Add(setting.Unit is "path" ? PathText.Full(item, context) : item);
        }

        return setting.Kind == SettingKind.Set ? Signed(setting, result.ToImmutable()) : Judgement.Good(result.ToImmutable());
    }

    /// <summary>As <see cref="Strings"/>, but a text is one item, commas and all.</summary>
    public static Judgement Command(Setting setting, RawValue raw, in ParseContext context) =>
        raw.Kind == RawKind.Text && raw.Text.Trim() is { Length: > 0 } text && text[0] != '['
            ? Judgement.Good(ImmutableArray.Create(text))
            : Strings(setting, raw, context);

    /// <summary>As <see cref="Strings"/>, or a switch: on is the one item <c>true</c>, off an empty list.</summary>
    public static Judgement Selection(Setting setting, RawValue raw, in ParseContext context)
    {
        var chosen = ScalarParsers.Bool(setting, raw, context);
        return chosen.Ok ? Judgement.Good(chosen.Value is true ? ["true"] : ImmutableArray<string>.Empty) : Strings(setting, raw, context);
    }

    public static Judgement Urls(Setting setting, RawValue raw, in ParseContext context)
    {
        if (Items(raw) is not { } items)
        {
            return ScalarParsers.Type(setting);
        }

        var result = ImmutableArray.CreateBuilder<Uri>(items.Length);
        foreach (var item in items)
        {
            if (UrlText.TryParse(item, setting.Allowed) is not { } url)
            {
                return ScalarParsers.Type(setting);
            }

            result.Add(url);
        }

        return Judgement.Good(result.ToImmutable());
    }

    public static Judgement Integers(Setting setting, RawValue raw, in ParseContext context)
    {
        if (Items(raw) is not { } items)
        {
            return ScalarParsers.Type(setting);
        }

        var result = ImmutableArray.CreateBuilder<long>(items.Length);
        foreach (var item in items)
        {
            if (!long.TryParse(item, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number))
            {
                return ScalarParsers.Type(setting);
            }

            if (!ScalarParsers.Inside(setting, number))
            {
                return ScalarParsers.Range(setting);
            }

            result.Add(number);
        }

        return Judgement.Good(result.ToImmutable());
    }

    /// <summary>The list as text that reads back to the same items.</summary>
    public static string Text(ImmutableArray<string> items)
    {
        foreach (var item in items)
        {
            if (item.AsSpan().IndexOfAny(",[\"") >= 0 || item.Length != item.AsSpan().Trim().Length)
            {
                return "[" + string.Join(',', items.Select(i => "\"" + JsonEncodedText.Encode(i) + "\"")) + "]";
            }
        }

        return string.Join(',', items);
    }

    // Items that are all signed change the default instead of replacing it.
    private static Judgement Signed(Setting setting, ImmutableArray<string> items)
    {
        var signs = 0;
        foreach (var item in items)
        {
            signs += item[0] is '+' or '-' ? 1 : 0;
        }

        if (signs == 0)
        {
            return Judgement.Good(items.Distinct(StringComparer.Ordinal).ToImmutableArray());
        }

        if (signs != items.Length)
        {
            return Judgement.Bad(FaultCode.Type, "either all items are signed (+name, -name) and change the default, or none is");
        }

        var result = Items(RawValue.Of(setting.Default))!.ToList();
        foreach (var item in items)
        {
            var name = item[1..].Trim();
            result.RemoveAll(i => string.Equals(i, name, StringComparison.Ordinal));
            if (item[0] == '+')
            {
                result.Add(name);
            }
        }

        return Judgement.Good(result.ToImmutableArray());
    }

    private static string Bare(Setting setting, string item) => setting.Kind == SettingKind.Set && item[0] is '+' or '-' ? item[1..].Trim() : item;

    private static string[]? Items(RawValue raw)
    {
        switch (raw.Kind)
        {
            case RawKind.Text:
                var text = raw.Text.Trim();
                return text.Length == 0 ? []
                    : text[0] == '[' ? Json(text)
                    : text.Split(',', StringSplitOptions.TrimEntries);
            case RawKind.Array:
                var items = raw.Items;
                var result = new string[items.Length];
                for (var i = 0; i < items.Length; i++)
                {
                    if (items[i].Kind is not (RawKind.Text or RawKind.Integer))
                    {
                        return null;
                    }

                    result[i] = items[i].ToString();
                }

                return result;
            default:
                return null;
        }
    }

    private static string[]? Json(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            var items = new List<string>();
            foreach (var item in document.RootElement.EnumerateArray())
            {
                switch (item.ValueKind)
                {
                    case JsonValueKind.String:
                        items.Add(item.GetString()!);
                        break;
                    case JsonValueKind.Number:
                        items.Add(item.GetRawText());
                        break;
                    default:
                        return null;
                }
            }

            return [.. items];
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
