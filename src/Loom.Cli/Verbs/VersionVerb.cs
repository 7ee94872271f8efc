using System.CommandLine;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Cli.Terminal;
using Loom.Runtime;

namespace Loom.Cli.Verbs;

/// <summary><c>loom version</c>.</summary>
public static class VersionVerb
{
    public static Command Create() => Verb.Create("version", "Print the version of loom and of what it runs on", ["loom version", "loom version --json"], (context, _, _) =>
    {
        var build = Build.Current;
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(build, BuildJson.Default.Build));
        }
        else
        {
            context.Terminal.Out.WriteLine($"loom {build.Version}{(build.Commit is null ? "" : $" ({build.Commit[..Math.Min(12, build.Commit.Length)]})")}, {build.Runtime}, {build.Platform}");
        }

        return Task.FromResult(ExitCode.Ok);
    });
}

/// <summary>What this build is.</summary>
/// <param name="Schema">Version of this document.</param>
/// <param name="Version">Version of loom.</param>
/// <param name="Commit">Commit it was built from; null outside a checkout.</param>
/// <param name="Runtime">.NET runtime.</param>
/// <param name="Platform">Platform tag, for example linux-x86_64.</param>
public sealed record Build(int Schema, string Version, string? Commit, string Runtime, string Platform)
{
    public static Build Current { get; } = Read();

    private static Build Read()
    {
        var text = typeof(Build).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
        var plus = text.IndexOf('+', StringComparison.Ordinal);
        return new Build(1, plus < 0 ? text : text[..plus], plus < 0 ? null : text[(plus + 1)..], RuntimeInformation.FrameworkDescription, BinaryNames.Platform);
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(Build))]
internal sealed partial class BuildJson : JsonSerializerContext;
