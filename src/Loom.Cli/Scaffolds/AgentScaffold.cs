namespace Loom.Cli.Scaffolds;

/// <summary>Languages an agent can be begun in.</summary>
internal enum AgentLanguage
{
    Python,
    CSharp,
    Node,
    Sh,
}

/// <summary>
/// The first version of an agent: one file that runs as it is, with nothing but its language. It says who it is, writes a line every few seconds, and ends
/// in order when it is asked to.
/// </summary>
internal static class AgentScaffold
{
    /// <summary>Words of <c>--lang</c>.</summary>
    public static readonly string[] Words = ["python", "csharp", "node", "sh"];

    /// <summary>The language of a word.</summary>
    public static AgentLanguage Language(string word) => (AgentLanguage)Array.IndexOf(Words, word);

    /// <summary>Path of the agent's file below the project, and its text.</summary>
    public static (string Path, string Text) File(string name, AgentLanguage language) => language switch
    {
        AgentLanguage.Python => ($"agents/{name}.py", Python),
        AgentLanguage.CSharp => ($"agents/{name}.cs", CSharp),
        AgentLanguage.Node => ($"agents/{name}.mjs", Node),
        _ => ($"agents/{name}.sh", Sh),
    };

    /// <summary>A table for <c>loom.toml</c>: nothing in it is needed, all of it shows what can be set.</summary>
    public static string Snippet(string name, string path) => $$"""
        [agents.{{name}}]
        script = "{{path}}"
        restart = "on-failure"       # or "never", "always"
        watch = true                 # start it anew when its file changes
        # depends_on = ["another"]   # start after that one is ready
        # env = { LEVEL = "3" }

        [agents.{{name}}.config]     # free; the agent finds it in LOOM_AGENT_CONFIG
        greeting = "hello"
        """;

    private const string Python = """"
        """An agent: a program that Loom starts, watches and stops.

        Its environment says who it is: LOOM_AGENT_ID, LOOM_REPLICA, LOOM_PROJECT_DIR, and LOOM_AGENT_CONFIG with
        what [agents.NAME.config] holds. What it prints is its log.
        """
        import json
        import os
        import signal
        import threading

        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())

        name = os.environ.get("LOOM_AGENT_ID", os.path.splitext(os.path.basename(__file__))[0])
        settings = json.loads(os.environ.get("LOOM_AGENT_CONFIG") or "{}").get("config") or {}

        print(f"{name}: {settings.get('greeting', 'hello')}", flush=True)
        beat = 0
        while not stop.wait(3):
            beat += 1
            print(f"{name}: beat {beat}", flush=True)

        # Loom has sent TERM: finish what must be finished; there is one second unless loom.toml sets another grace.
        print(f"{name}: asked to stop, goodbye", flush=True)

        """";

    private const string CSharp = """"
        #!/usr/bin/env -S dotnet run --file
        // An agent: a program that Loom starts, watches and stops.
        //
        // Its environment says who it is: LOOM_AGENT_ID, LOOM_REPLICA, LOOM_PROJECT_DIR, and LOOM_AGENT_CONFIG with
        // what [agents.NAME.config] holds. What it prints is its log.
        #:property PublishAot=false
        using System.Runtime.InteropServices;
        using System.Text.Json;

        using var stop = new CancellationTokenSource();
        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            stop.Cancel();
        }

        using var term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);

        var name = Environment.GetEnvironmentVariable("LOOM_AGENT_ID") ?? "agent";
        using var settings = JsonDocument.Parse(Environment.GetEnvironmentVariable("LOOM_AGENT_CONFIG") ?? "{}");
        var greeting = settings.RootElement.TryGetProperty("config", out var config) && config.ValueKind == JsonValueKind.Object
            && config.TryGetProperty("greeting", out var text) ? text.GetString() : "hello";

        Console.WriteLine($"{name}: {greeting}");
        for (var beat = 1; !stop.Token.WaitHandle.WaitOne(TimeSpan.FromSeconds(3)); beat++)
        {
            Console.WriteLine($"{name}: beat {beat}");
        }

        // Loom has sent TERM: finish what must be finished; there is one second unless loom.toml sets another grace.
        Console.WriteLine($"{name}: asked to stop, goodbye");

        """";

    private const string Node = """"
        // An agent: a program that Loom starts, watches and stops.
        //
        // Its environment says who it is: LOOM_AGENT_ID, LOOM_REPLICA, LOOM_PROJECT_DIR, and LOOM_AGENT_CONFIG with
        // what [agents.NAME.config] holds. What it prints is its log.
        import { basename } from 'node:path';

        const name = process.env.LOOM_AGENT_ID ?? basename(process.argv[1], '.mjs');
        const settings = JSON.parse(process.env.LOOM_AGENT_CONFIG || '{}').config ?? {};

        console.log(`${name}: ${settings.greeting ?? 'hello'}`);
        let beat = 0;
        const timer = setInterval(() => console.log(`${name}: beat ${++beat}`), 3000);

        for (const signal of ['SIGTERM', 'SIGINT']) {
            process.on(signal, () => {
                // Finish what must be finished; there is one second unless loom.toml sets another grace.
                clearInterval(timer);
                console.log(`${name}: asked to stop, goodbye`);
            });
        }

        """";

    private const string Sh = """"
        #!/bin/sh
        # An agent: a program that Loom starts, watches and stops.
        #
        # Its environment says who it is: LOOM_AGENT_ID, LOOM_REPLICA, LOOM_PROJECT_DIR, and LOOM_AGENT_CONFIG with
        # what [agents.NAME.config] holds, as JSON. What it prints is its log.
        name=${LOOM_AGENT_ID:-$(basename "$0" .sh)}

        # Finish what must be finished; there is one second unless loom.toml sets another grace.
        trap 'echo "$name: asked to stop, goodbye"; exit 0' TERM INT

        echo "$name: hello"
        beat=0
        while :; do
            sleep 3 &
            wait $!
            beat=$((beat + 1))
            echo "$name: beat $beat"
        done

        """";
}
