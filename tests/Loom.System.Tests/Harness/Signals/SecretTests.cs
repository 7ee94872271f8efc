using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Signals;

/// <summary>
/// A running system whose events hold a field that its schema marks <c>x-secret</c> and a value that the deployment takes from a secret: nobody sees either, in a tap, a letter, an error, a
/// log or what the API tells; and a letter can still be sent again as it was.
/// </summary>
public sealed class SecretTests
{
    private const string Field = "078-05-1120";
    private const string Card = "4111111111111111";
    private const string Configured = "hush-hush-key";

    private const string Architecture = """
        schema_version: "1.0.0"
        system: { name: people, version: 1.0.0 }
        schemas:
          person:
            version: 1.0.0
            schema:
              type: object
              properties:
                ssn: { type: string, x-secret: true }
                cards: { type: array, items: { $ref: "#/$defs/card" } }
              $defs: { card: { allOf: [ { properties: { number: { type: integer, x-secret: true } } } ] } }
        components:
          - name: people
            type: Source
            uses: jsonl
            config: { path: people.jsonl, follow: true, poll_ms: 50 }
            ports: { outputs: [ { name: out, data_schema: { id: person, version: 1.0.0 } } ] }
          - { name: auth, type: Transformer, uses: map, config: { set: { auth: "'Bearer ${API_KEY}'" }, key: data.ssn } }
          - name: check
            type: Transformer
            uses: { command: [python3, check.py], files: [check.py, loom_component.py] }
            ports: { inputs: [ { name: in, data_schema: { id: person, version: 1.0.0 } } ], outputs: [ { name: out } ] }
          - { name: store, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
        bindings:
          - { from: people.out, to: auth.in }
          - { from: auth.out, to: check.in }
          - { from: check.out, to: store.in }
        """;

    private const string Check = """
        import sys
        import loom_component as loom
        @loom.item
        def check(event):
            with open("keys.txt", "a") as keys:
                keys.write(str(event.key) + "\n")
            print("env key", event.data["auth"], file=sys.stderr, flush=True)
            raise ValueError("refused: " + event.data["ssn"] + " " + event.data["auth"] + " " + str(event.data["cards"]))
        loom.run()
        """;

    private static readonly string s_line = $$"""{"name":"Ann","ssn":"{{Field}}","cards":[{"number":{{Card}},"bank":"X"}]}""";

    [Fact]
    public async Task Secrets_AreShownNowhere()
    {
        await using var system = await RunningSystem.StartAsync(Architecture, Prepare);
        var seen = new List<(string Where, string Text)>();
        foreach (var stream in new[] { "people.out", "auth.out" })
        {
            seen.Add(("tap " + stream, await TapAsync(system, stream)));
            seen.Add(("tap --json " + stream, await TapAsync(system, stream, "--json")));
        }

        foreach (var (where, text) in seen)
        {
            text.ShouldContain("Ann", customMessage: where);
            text.ShouldContain("[redacted]", customMessage: where);
        }

        seen[2].Text.ShouldContain("\"bank\":\"X\"", customMessage: "only what is secret is masked");
        await RunningSystem.UntilAsync(async () => (await system.GetAsync("/errors")).GetProperty("errors").GetArrayLength() > 0, "an error is told");
        foreach (var route in new[] { "/errors", "/health", "/components", "/components/auth", "/components/check", "/streams", "/lock", "/graph?format=json", "/alerts", "/instances", "/capabilities", "/checkpoints" })
        {
            seen.Add((route, (await system.GetAsync(route)).GetRawText()));
        }

        seen.Add(("/metrics", await system.MetricsAsync()));
        foreach (var verb in new string[][] { ["ps"], ["ps", "--json"], ["graph"], ["dead-letters", "list"], ["dead-letters", "list", "--json"], ["dead-letters", "export"], ["check", "--json"] })
        {
            seen.Add((string.Join(' ', verb), (await system.TypeAsync(verb)).Out));
        }

        var letter = JsonElement.Parse((await system.TypeAsync("dead-letters", "list", "--json")).Out).GetProperty("letters")[0];
        var show = (await system.TypeAsync("dead-letters", "show", letter.GetProperty("error_id").GetString()!)).Out;
        show.ShouldContain("\"ssn\": \"[redacted]\"");
        show.ShouldContain("\"bank\": \"X\"");
        seen.Add(("show", show));

        // What is kept for sending again is whole, and goes to the component as it was; the component's error comes anew.
        var (exit, _, error) = await system.TypeAsync("dead-letters", "retry", letter.GetProperty("error_id").GetString()!);
        exit.ShouldBe(0, error);
        (await File.ReadAllTextAsync(system.Folder[".loom/harness/people/dead/check.jsonl"])).ShouldContain(Field);
        var keys = await File.ReadAllLinesAsync(system.Folder["keys.txt"]);
        keys.ShouldNotBeEmpty();
        keys.ShouldAllBe(k => k == Field);

        (await system.DrainAsync()).ShouldBe(0, system.Err);
        seen.Add(("stderr of the run", system.Err));
        foreach (var file in Directory.EnumerateFiles(system.Folder[".loom/harness"], "*", SearchOption.AllDirectories).Where(f => !f.Contains("/dead/", StringComparison.Ordinal)))
        {
            seen.Add((file, await File.ReadAllTextAsync(file)));
        }

        foreach (var (where, text) in seen)
        {
            // What a program writes to stderr is its own: there only what is configured can be known.
            foreach (var secret in where.EndsWith("/log/check.log", StringComparison.Ordinal) ? [Configured] : new[] { Field, Card, Configured })
            {
                text.ShouldNotContain(secret, Case.Sensitive, where);
            }
        }
    }

    [Fact]
    public async Task Tap_AsServerSentEvents_MasksToo()
    {
        await using var system = await RunningSystem.StartAsync(Architecture, Prepare);
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = RunningLoom.Deadline };
        http.DefaultRequestHeaders.Authorization = new("Bearer", system.Token);
        await using var stream = await http.GetStreamAsync(new Uri(system.Address, "/v2/harness/systems/people/tap?stream=auth.out"));
        using var reader = new StreamReader(stream);
        (await reader.ReadLineAsync().WaitAsync(RunningLoom.Deadline)).ShouldBe(": on");
        await File.AppendAllTextAsync(system.Folder["people.jsonl"], s_line + "\n");
        string? data;
        while ((data = await reader.ReadLineAsync().WaitAsync(RunningLoom.Deadline)) is not null && !data.StartsWith("data:", StringComparison.Ordinal))
        {
        }

        var tapped = JsonElement.Parse(data!["data:".Length..]);
        tapped.GetProperty("key").GetString().ShouldBe("[redacted]");
        tapped.GetProperty("data").GetRawText().ShouldBe("""{"name":"Ann","ssn":"[redacted]","cards":[{"number":"[redacted]","bank":"X"}],"auth":"[redacted]"}""");
    }

    private static void Prepare(TempFolder folder)
    {
        File.Copy(Path.Combine(Repository.Root, "sdk", "harness", "python", "loom_component.py"), folder["loom_component.py"]);
        File.WriteAllText(folder["check.py"], Check);
        File.WriteAllText(folder["people.jsonl"], "");
        Directory.CreateDirectory(folder[".loom/secrets/api"]);
        File.WriteAllText(folder[".loom/secrets/api/key"], Configured + "\n");
        File.WriteAllText(folder["deployment.yaml"], "schema_version: \"1.0.0\"\nenv_vars: [ { name: API_KEY, valueFrom: { secretKeyRef: { name: api, key: key } } } ]\n");
    }

    // Lines come until one has been seen.
    private static async Task<string> TapAsync(RunningSystem system, string stream, params string[] options)
    {
        var tapping = system.TypeAsync(["tap", stream, "--limit", "1", .. options]);
        await RunningSystem.UntilAsync(
            async () =>
            {
                await File.AppendAllTextAsync(system.Folder["people.jsonl"], s_line + "\n");
                await Task.WhenAny(tapping, Task.Delay(200));
                return tapping.IsCompleted;
            },
            $"{stream} is tapped");
        var (exit, output, error) = await tapping;
        exit.ShouldBe(0, error);
        return output;
    }
}
