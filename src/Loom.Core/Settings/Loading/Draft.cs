using System.Collections.Immutable;

namespace Loom.Core.Settings;

/// <summary>
/// The configuration while it is judged: what was given, what follows from it, and the faults so far. Derived defaults write to it, cross rules report to it.
/// A key that is not declared in this build is simply unset, so a rule over several systems holds as far as they exist.
/// </summary>
public sealed class Draft
{
    private readonly GivenValues _given;
    private readonly Freezing _freezing;
    private readonly FaultList _faults;
    private readonly Dictionary<string, Setting> _byKey;
    private readonly Dictionary<string, FilePlace> _tables = new(StringComparer.Ordinal);
    private SettingsSnapshot? _settled;

    internal Draft(LoadRequest request, GivenValues given, Freezing freezing, FaultList faults)
    {
        Request = request;
        _given = given;
        _freezing = freezing;
        _faults = faults;
        _byKey = freezing.ByKey;
    }

    /// <summary>What is loaded, and for which part.</summary>
    public LoadRequest Request { get; }

    public LoomPart Part => Request.Part;

    public SettingsProfile Profile { get; internal init; }

    /// <summary>What chose CLOUD, as <c>NAME=value (place)</c>; null in HOME.</summary>
    public string? ProfileReason { get; internal init; }

    /// <summary>The configuration as it would be frozen, values at fault unset: what cross rules judge with the code that plans.</summary>
    /// <exception cref="InvalidOperationException">Asked for by a derived default, which runs before.</exception>
    public SettingsSnapshot Settings => _settled ?? throw new InvalidOperationException("defaults are derived before the configuration is settled");

    /// <summary>Whether this process runs the control plane.</summary>
    public bool RunsControlPlane => Part is LoomPart.Up or LoomPart.QueenRbee;

    /// <summary>Whether this process runs the node agent.</summary>
    public bool RunsNodeAgent => Part is LoomPart.Up or LoomPart.PoolManagerd;

    /// <summary>Whether a layer gave the key a value without fault.</summary>
    public bool IsGiven(string key) => _given.Winner(key) is not null;

    /// <summary>Whether a list was given as one text.</summary>
    public bool IsText(string key) => _given.Winner(key) is { Raw.Kind: RawKind.Text };

    /// <summary>Whether a value of the key is at fault; a rule then keeps silent, as its premise is unknown.</summary>
    public bool IsAtFault(string key) => _faults.HasError(key);

    /// <summary>The settled value of a concrete key, defaults included; default(T) when unset or not declared.</summary>
    public T? Value<T>(string key, string? pattern = null)
    {
        if (_freezing.Values.TryGetValue(key, out var value))
        {
            return (T?)value.Value;
        }

        return _byKey.TryGetValue(pattern ?? key, out var setting) ? (T?)_freezing.Resolve(setting).Value : default;
    }

    /// <summary>Names of the tables under a starred key.</summary>
    public ImmutableArray<string> Names(string table) => _freezing.Names(table);

    /// <summary>Keys of an environment-like table or of tables, joined to a concrete key.</summary>
    public static string Key(params ReadOnlySpan<string> parts) => KeyText.Join(parts);

    /// <summary>Gives a declared key without stars a value that follows from others; a given value stays.</summary>
    public void Derive(string key, object value)
    {
        if (_byKey.TryGetValue(key, out var setting) && !IsGiven(key))
        {
            _freezing.Give(setting, setting.Segments.AsSpan(), value, new SettingSource(SettingLayer.Derived));
        }
    }

    /// <summary>Says where a key was given: <c>NAME="value" (environment)</c>; null when it was not.</summary>
    public string? Told(string key) => _given.Winner(key) is { } given ? Faults.Told(given) : null;

    /// <summary>Adds a line that is said once a start and is no fault.</summary>
    public void Note(string text) => _given.Notes.Add(text);

    /// <summary>Reports a broken cross rule.</summary>
    /// <param name="rule">Its number, for example <c>R7</c>.</param>
    /// <param name="key">Concrete key to name; the place is where it was given.</param>
    /// <param name="message">What is wrong, without the number.</param>
    /// <param name="fix">What mends it.</param>
    /// <param name="severity">Error or warning.</param>
    public void Report(string rule, string key, string message, string? fix, FaultSeverity severity = FaultSeverity.Error) =>
        Report(FaultCode.Rule, key, $"{rule}: {message}", fix, severity, rule);

    /// <summary>Reports what is wrong with a key or a table beyond its type.</summary>
    /// <param name="code">Kind of fault.</param>
    /// <param name="key">Concrete key, or that of a table; the place is where it was given.</param>
    /// <param name="message">What is wrong.</param>
    /// <param name="fix">What mends it.</param>
    /// <param name="severity">Error or warning.</param>
    /// <param name="rule">R number of a cross rule, or null.</param>
    /// <param name="file">File at fault where no key gives a place, as people write it.</param>
    public void Report(
        FaultCode code, string key, string message, string? fix, FaultSeverity severity = FaultSeverity.Error, string? rule = null, string? file = null)
    {
        if (_given.Winner(key) is { } given)
        {
            _faults.Add(Faults.Of(given, code, message, fix, severity, rule));
            return;
        }

        if (_tables.TryGetValue(key, out var place))
        {
            _faults.Add(Faults.At(place, code, key, message, fix, severity, rule));
            return;
        }

        var setting = _byKey.GetValueOrDefault(key);
        _faults.Add(new Fault
        {
            Severity = severity,
            Code = code,
            Key = key,
            Variable = setting is { Variables.Length: > 0 } ? setting.Variables[0] : null,
            Source = file is null ? SettingSource.Default : new SettingSource(SettingLayer.File, File: file),
            Message = message,
            Fix = fix,
            Rule = rule,
        });
    }

    /// <summary>Warns about a part of a value that has no effect.</summary>
    public void Warn(FaultCode code, string key, string message, string? fix)
    {
        if (_given.Winner(key) is { } given)
        {
            _faults.Add(Faults.Of(given, code, message, fix, FaultSeverity.Warning));
        }
    }

    /// <summary>Reports a setting that must be given and is not.</summary>
    public void ReportMissing(string rule, string key, string message, string fix)
    {
        var setting = _byKey.GetValueOrDefault(key);
        if (setting is not null && !IsAtFault(key))
        {
            _faults.Add(new Fault
            {
                Severity = FaultSeverity.Error,
                Code = FaultCode.Missing,
                Key = key,
                Variable = setting.Variables.Length > 0 ? setting.Variables[0] : null,
                Message = message,
                Fix = fix,
                Rule = rule,
            });
        }
    }

    /// <summary>Says that all values stand; cross rules follow.</summary>
    internal void Settle(SettingsSnapshot settled, IEnumerable<(string[] Table, string Name, FilePlace Place)> tables)
    {
        _settled = settled;
        foreach (var (table, name, place) in tables)
        {
            _tables.TryAdd(KeyText.Join([.. table, name]), place);
        }
    }

    internal GivenValue? Given(string key) => _given.Winner(key);

    internal IEnumerable<GivenValue> AllGiven() => _given.ByKey.Values.SelectMany(v => v);
}
