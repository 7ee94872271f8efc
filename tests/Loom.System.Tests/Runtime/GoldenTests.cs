using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary>
/// The JSON of every read command, compared with a recorded document. What changes from run to run is replaced by <c>"*"</c>. <c>GOLDEN=write</c>
/// records anew; a difference in review is a change of the contract.
/// </summary>
public sealed partial class GoldenTests(AgentProject project) : IClassFixture<AgentProject>
{
    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly HashSet<string> s_volatile = new(StringComparer.Ordinal)
    {
        "run_id", "pid", "start_ticks", "uptime_ms", "started_at", "since", "at", "cpu_ms", "cpu_percent", "memory_bytes", "config_sha256", "time", "took_ms", "loom_version",
        "version", "commit", "runtime", "platform", "api", "metrics", "node", "spawn", "text", "next_start",
    };

    [Theory]
    [InlineData("status", "status")]
    [InlineData("status-one", "status", "job")]
    [InlineData("wait", "wait", "job", "--for", "ended")]
    [InlineData("logs", "logs", "job")]
    [InlineData("version", "version")]
    [InlineData("config-check", "config", "check")]
    [InlineData("config-show", "config", "show", "runtime")]
    [InlineData("config-explain", "config", "explain", "runtime.shutdown_timeout")]
    [InlineData("config-env", "config", "env")]
    [InlineData("model-list", "model", "list")]
    [InlineData("binaries-list", "binaries", "list")]
    [InlineData("doctor", "doctor")]
    [InlineData("systemd-print", "systemd", "print", "--user")]
    public async Task Json_ReadCommand_IsTheRecordedDocument(string name, params string[] arguments)
    {
        var (_, output, err) = await RunningLoom.RunAsync(project.Folder, [.. arguments, "--json"], [("HOME", project.Folder), ("XDG_CACHE_HOME", project.Folder), ("XDG_CONFIG_HOME", project.Folder)]);
        output.ShouldNotBeEmpty(err);
        string[] documents = name is "logs" ? output.Split('\n', StringSplitOptions.RemoveEmptyEntries) : [output];
        var found = string.Concat(documents.Select(d => Normal(name, d) + "\n"));
        var file = Path.Combine(Repository.Root, "tests", "Loom.System.Tests", "Runtime", "golden", name + ".json");
        if (Environment.GetEnvironmentVariable("GOLDEN") == "write")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            await File.WriteAllTextAsync(file, found, TestContext.Current.CancellationToken);
        }

        found.ShouldBe(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken), $"loom {string.Join(' ', arguments)} --json; GOLDEN=write records it anew");
    }

    private string Normal(string name, string line)
    {
        var document = JsonNode.Parse(line)!;
        if (name is "doctor")
        {
            // What it finds is the machine's; what it looks at is ours.
            document["ok"] = "*";
            foreach (var check in document["checks"]!.AsArray())
            {
                check!["status"] = "*";
                check["message"] = "*";
                check.AsObject().Remove("fix");
            }
        }

        if (name is "config-env")
        {
            // Whoever runs the tests may have set others.
            var variables = document["variables"]!.AsArray();
            variables.RemoveAll(v => v!["name"]!.GetValue<string>() is not "ORCHESTRATORD_BIND_ADDR");
        }

        Mask(document);
        var text = Seconds().Replace(document.ToJsonString(s_indented), "after * s");
        return text.Replace(RunningLoom.Program, "{loom}", StringComparison.Ordinal).Replace(Path.GetFileName(project.Folder), "{project}", StringComparison.Ordinal).Replace(Path.GetTempPath().TrimEnd('/') + "/{project}", "{folder}", StringComparison.Ordinal);
    }

    [GeneratedRegex(@"after [0-9.]+ s", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Seconds();

    private static void Mask(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject item:
                foreach (var (key, value) in item.ToList())
                {
                    if (s_volatile.Contains(key) && value is JsonValue)
                    {
                        item[key] = "*";
                    }
                    else
                    {
                        Mask(value);
                    }
                }

                break;
            case JsonArray list:
                foreach (var value in list)
                {
                    Mask(value);
                }

                break;
        }
    }
}
