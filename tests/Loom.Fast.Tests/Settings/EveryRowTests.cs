using System.Collections.Immutable;
using System.Globalization;
using Loom.Core.Settings;
using Loom.Testing.Settings;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Settings;

/// <summary>Every documented name works: for each row, built or only specified, each layer sets it and its range holds to the step.</summary>
public sealed class EveryRowTests
{
    private static readonly ImmutableArray<Setting> s_rows = SpecRows.Settings;

    [Fact]
    public void Variable_OfEveryRow_SetsIt()
    {
        foreach (var setting in s_rows)
        {
            foreach (var variable in setting.Variables)
            {
                var result = Bare().Variable(variable, Sample(setting)).Load();
                Errors(result, setting.Key).ShouldBeEmpty($"{variable}={Sample(setting)}");
                result.Snapshot.SourceOf(setting).Name.ShouldBe(variable);
                result.Snapshot.SourceOf(setting).Layer.ShouldBe(SettingLayer.Environment);
                var fromFile = Bare().EnvFile($"{variable}='{Sample(setting)}'").Load();
                fromFile.Snapshot.SourceOf(setting).Layer.ShouldBe(SettingLayer.EnvFile, variable);
            }
        }
    }

    [Fact]
    public void SetOption_OfEveryRow_SetsItUnlessItIsSecret()
    {
        foreach (var setting in s_rows.Where(s => s != SharedSettings.ProjectDir))
        {
            var key = setting.Key.Replace("*", "x", StringComparison.Ordinal);
            var result = Bare().Set(key, Sample(setting)).Load();
            if (setting.IsSecret)
            {
                Errors(result, key).Single().Code.ShouldBe(FaultCode.WrongLayer, key);
                continue;
            }

            Errors(result, key).ShouldBeEmpty(key);
            result.Given[key][0].Source.Layer.ShouldBe(SettingLayer.CommandLine);
        }
    }

    [Fact]
    public void File_OfEveryRow_SetsItWithItsPlace()
    {
        foreach (var setting in s_rows.Where(s => s.InFile))
        {
            var key = setting.Key.Replace("*", "x", StringComparison.Ordinal);
            var result = Bare().Toml($"{key} = \"{Sample(setting)}\"").Load();
            Errors(result, key).ShouldBeEmpty(key);
            var source = result.Given[key][0].Source;
            source.ShouldBe(new SettingSource(SettingLayer.File, key, "loom.toml", 1, key.Length + 4));
        }
    }

    [Fact]
    public void Range_OfEveryNumericRow_HoldsToTheStep()
    {
        var checkedRows = 0;
        foreach (var setting in s_rows.Where(s => s.Variables.Length > 0 && s.Kind is SettingKind.Int or SettingKind.Float or SettingKind.Duration or SettingKind.Size))
        {
            var step = setting.Kind == SettingKind.Int ? 1m : setting.Kind == SettingKind.Duration ? setting.Unit is "ms" ? 1m : 0.001m : setting.Kind == SettingKind.Size ? 1m : 0.0001m;
            Bound(setting, setting.LowerBound, -step);
            Bound(setting, setting.UpperBound, step);
            checkedRows++;
        }

        checkedRows.ShouldBeGreaterThan(0);
    }

    private static void Bound(Setting setting, decimal? bound, decimal step)
    {
        if (bound is not { } value)
        {
            return;
        }

        var variable = setting.Variables[0];
        Errors(Bare().Variable(variable, Text(value)).Load(), setting.Key).ShouldBeEmpty($"{variable}={Text(value)}");
        if (value + step < 0 && setting.Kind is SettingKind.Duration or SettingKind.Size)
        {
            // Negative times and sizes cannot be written at all.
            return;
        }

        var beyond = Text(value + step);
        var fault = Errors(Bare().Variable(variable, beyond).Load(), setting.Key).ShouldHaveSingleItem();
        fault.Code.ShouldBe(FaultCode.Range, $"{variable}={beyond}");
        fault.Variable.ShouldBe(variable);
        fault.Value.ShouldBe(beyond);
        fault.Source!.Layer.ShouldBe(SettingLayer.Environment);
        fault.Message.ShouldContain(setting.LowerBound is null ? "up to" : $"from {setting.Min}");
    }

    private static IEnumerable<Fault> Errors(LoadResult result, string key) =>
        result.Faults.Where(f => f.Severity == FaultSeverity.Error && f.Key == key && f.Rule is null && f.Code != FaultCode.Missing && f.Code != FaultCode.File);

    private static TestLoad Bare() => new(SpecRows.Registry);

    private static string Text(decimal value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Sample(Setting setting) => setting.Kind switch
    {
        SettingKind.Bool => "on",
        SettingKind.Int or SettingKind.Float or SettingKind.Duration or SettingKind.Size => setting.Max.Length > 0 ? setting.Max : setting.Min.Length > 0 ? setting.Min : "1",
        SettingKind.Enum => setting.Allowed.Split(';')[^1].ToUpperInvariant(),
        SettingKind.Url => setting.Allowed.Split(';')[0] + "://host:1/x",
        SettingKind.HostPort => "127.0.0.1:1",
        SettingKind.Path => "some/where",
        SettingKind.List when setting.Unit is "url" => "http://a:1,http://b:2",
        SettingKind.List when setting.Unit is "int" => setting.Min.Length > 0 ? setting.Min : "1",
        SettingKind.List or SettingKind.Set => setting.Allowed.Length > 0 ? setting.Allowed.Split(';')[0] : "a,b",
        _ when setting.Key is "telemetry.log" => "debug",
        _ => new string('a', setting.Min.Length > 0 ? int.Parse(setting.Min, CultureInfo.InvariantCulture) : 3),
    };
}
