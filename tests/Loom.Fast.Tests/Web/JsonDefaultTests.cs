using System.Collections;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Web;

/// <summary>
/// Source-generated JSON sets every <c>init</c> property, also those the sender left out: what the class says of itself is overwritten with nothing. So a
/// property with a default of its own either turns nothing back into that default or has a plain setter.
/// </summary>
public sealed class JsonDefaultTests
{
    private static readonly string[] s_assemblies = ["Loom.Sdk", "Loom.Core", "Loom.Processes", "Loom.Control", "Loom.Node", "Loom.Agents", "Loom.Harness", "loom"];

    [Fact]
    public void Types_PropertiesThatAreLeftOut_KeepTheirDefaults()
    {
        var lost = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var context in s_assemblies.SelectMany(a => Assembly.Load(a).GetTypes()).Where(t => t.IsSubclassOf(typeof(JsonSerializerContext))))
        {
            var options = ((JsonSerializerContext)context.GetProperty("Default", BindingFlags.Public | BindingFlags.Static)!.GetValue(null)!).Options;
            foreach (var type in context.GetProperties().Where(p => p.PropertyType.IsGenericType && p.PropertyType.GetGenericTypeDefinition() == typeof(JsonTypeInfo<>)))
            {
                Judge(options.GetTypeInfo(type.PropertyType.GetGenericArguments()[0]), lost);
            }
        }

        lost.ShouldBeEmpty();
    }

    [Fact]
    public void Beat_OnlyWhatIsRequired_IsTheFirstReplicaOfItsPool()
    {
        var beat = JsonSerializer.Deserialize(
            """{"timestamp":"2026-01-01T00:00:00Z","pools":[{"pool_id":"p","ready":true,"draining":false,"slots_free":1,"slots_total":1}]}""", NodeJson.Default.NodeHeartbeat)!;

        beat.Pools[0].ReplicaId.ShouldBe("r0");
        beat.Pools[0].ModelsAvailable.ShouldBeEmpty();
    }

    private static void Judge(JsonTypeInfo type, SortedSet<string> lost)
    {
        if (type.Kind != JsonTypeInfoKind.Object || type.Type.GetConstructor(Type.EmptyTypes) is not { } make)
        {
            return;
        }

        var before = make.Invoke(null);
        foreach (var json in type.Properties.Where(p => p.AssociatedParameter is { IsMemberInitializer: true } && !p.IsRequired))
        {
            var property = (PropertyInfo)json.AttributeProvider!;
            var after = make.Invoke(null);
            property.SetValue(after, json.PropertyType.IsValueType ? Activator.CreateInstance(json.PropertyType) : null);
            if (Text(property.GetValue(before)) != Text(property.GetValue(after)))
            {
                lost.Add($"{type.Type.Name}.{property.Name}");
            }
        }
    }

    private static string Text(object? value)
    {
        try
        {
            return value is IEnumerable many and not string ? $"[{string.Join(",", many.Cast<object>())}]" : $"{value}";
        }
        catch (InvalidOperationException)
        {
            return "an array that was never made";
        }
    }
}
