namespace Loom.Core.Settings;

/// <summary>Every value that any layer gave, read and compared, by concrete key with the winner first.</summary>
internal sealed class GivenValues(LoadRequest request, string projectFolder, FaultList faults)
{
    private readonly Dictionary<string, List<GivenValue>> _byKey = new(StringComparer.Ordinal);

    public IReadOnlyDictionary<string, List<GivenValue>> ByKey => _byKey;

    /// <summary>Notes of this start.</summary>
    public List<string> Notes { get; } = [];

    /// <summary>The value that counts for a concrete key, or null; a value at fault counts as not given.</summary>
    public GivenValue? Winner(string key) => _byKey.TryGetValue(key, out var values) ? values.Find(v => v.Value is not null) : null;

    public void AddCommandLine()
    {
        var context = new ParseContext(request.WorkingFolder, request.HomeFolder);

        // The last one for a key wins, so it is read first.
        for (var i = request.CommandLine.Length - 1; i >= 0; i--)
        {
            var (option, key, text) = request.CommandLine[i];
            var parts = KeyText.Split(key);
            var setting = parts is null ? null : request.Registry.Find(parts);
            if (setting is null && parts is not null && KeyAliases.Resolve(parts) is { } target && request.Registry.Find(target) is { } aliased)
            {
                (parts, setting) = (target, aliased);
            }

            var source = new SettingSource(SettingLayer.CommandLine, option);
            if (setting is null && parts is not null && request.Registry.Root.Find(parts) is { } table && Shorthands.Read(table, parts, text, source) is { } values)
            {
                values.ForEach(value => Add(value, context));
            }
            else if (setting is null)
            {
                var nearest = Nearest.Of(key, request.Registry.All.Where(s => !s.IsStarred).Select(s => s.Key));
                faults.Add(new Fault { Severity = FaultSeverity.Error, Code = FaultCode.UnknownKey, Key = key, Variable = option, Source = source, Message = "unknown key", Fix = nearest });
            }
            else if (setting.IsSecret)
            {
                faults.Add(new Fault
                {
                    Severity = FaultSeverity.Error,
                    Code = FaultCode.WrongLayer,
                    Key = key,
                    Variable = option,
                    Source = source,
                    Message = "a secret cannot stand on the command line: process lists show it",
                    Fix = setting.Variables.Length > 0 ? $"set {setting.Variables[0]}" : "write a reference such as ${NAME} into loom.toml",
                });
            }
            else
            {
                Add(new GivenValue(setting, parts!, RawValue.Of(text), source, null, null, false, null), context);
            }
        }
    }

    public void AddVariables(IReadOnlyDictionary<string, VariableValue> variables)
    {
        var context = new ParseContext(projectFolder, request.HomeFolder);
        foreach (var setting in request.Registry.All)
        {
            GivenValue? first = null;
            foreach (var name in setting.Variables)
            {
                if (!variables.TryGetValue(name, out var variable))
                {
                    continue;
                }

                var given = Add(new GivenValue(setting, [.. setting.Segments], RawValue.Of(variable.Text), variable.Source, null, name, false, null, variable.FileOrder),
                    context with { SecretName = name }, inverted: setting.VariableIsInverted);
                if (given.Value is null)
                {
                    continue;
                }

                if (first is not null && !setting.FirstVariableWins && !Equal(first, given))
                {
                    var fix = name is KeyAliases.OlderVariable ? $"keep one; {name} is the older name" : "keep one";
                    faults.Add(Faults.Of(given, FaultCode.Conflict, $"{Faults.Told(first)} sets it too", fix));
                }
                else if (first is null && name is KeyAliases.OlderVariable)
                {
                    Notes.Add($"{name} is the older name of {setting.Variables[0]}");
                }

                first ??= given;
            }
        }
    }

    public void AddFile(IEnumerable<GivenValue> values)
    {
        var context = new ParseContext(projectFolder, request.HomeFolder);
        foreach (var value in values)
        {
            var key = KeyText.Join(value.Parts);
            var earlier = _byKey.TryGetValue(key, out var known) ? known.Find(v => v is { Source.Layer: SettingLayer.File, Value: not null }) : null;
            var given = Add(value, context with { SecretName = value.SecretName });
            if (earlier is not null && given.Value is not null && !Equal(earlier, given))
            {
                faults.Add(Faults.Of(given, FaultCode.Conflict, $"{Faults.Told(earlier)} sets it too", "keep one spelling of the key"));
            }
        }
    }

    private static bool Equal(GivenValue a, GivenValue b) =>
        a.Value is Secret secret ? secret.Equals(b.Value as Secret) : string.Equals(a.Setting.Text(a.Value!), b.Setting.Text(b.Value!), StringComparison.Ordinal);

    private GivenValue Add(GivenValue given, in ParseContext context, bool inverted = false)
    {
        var judgement = given.Setting.Parse(given.Raw, context);
        if (judgement.Ok)
        {
            given = given with { Value = inverted ? !(bool)judgement.Value! : judgement.Value };
        }
        else
        {
            faults.Add(Faults.Misread(given, judgement));
        }

        var key = KeyText.Join(given.Parts);
        if (!_byKey.TryGetValue(key, out var values))
        {
            _byKey[key] = values = new List<GivenValue>(1);
        }

        values.Add(given);
        return given;
    }
}
