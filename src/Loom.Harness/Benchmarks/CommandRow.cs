using System.Collections;
using System.Text;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Planning;
using Loom.Harness.Commands;
using Loom.Harness.Execution;
using Loom.Processes;
using Loom.Processes.Piping;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Harness.Benchmarks;

/// <summary>Components in other languages that give back what they get, beside a Python program that reads and writes JSON lines and nothing else.</summary>
internal static class CommandRow
{
    private const string Rate = "items/s";
    private const string Python = "loom, Python helper";
    private const string Node = "loom, Node helper";
    private const string Echo = "plain echo in Python";
    private const int Items = 100_000;
    private const int InFlight = 256;

    private const string EchoScript = """
        import json, sys
        for line in sys.stdin:
            sys.stdout.write(json.dumps(json.loads(line)) + "\n")
        """;

    private static readonly string s_pythonScript = $"""
        import loom_component as loom

        @loom.item
        def same(event):
            return event.data

        loom.run(max_in_flight={InFlight})
        """;

    private static readonly string s_nodeScript = $$"""
        import { component } from "./loom-component.mjs";

        await component({ item: (event) => event.data }, { maxInFlight: {{InFlight}} });
        """;

    // 200 bytes a line, as the payload of an event and as what the echo gets.
    private static readonly string s_payload = JsonSerializer.Serialize(new string('x', 198), PlainText.Default.String);

    /// <param name="time">Clock.</param>
    /// <param name="folder">Where programs and logs go.</param>
    /// <param name="supervisor">Who starts them.</param>
    public static BenchRow Row(TimeProvider time, string folder, ISupervisor supervisor)
    {
        Unpack("loom_component.py", folder);
        Unpack("loom-component.mjs", folder);
        File.WriteAllText(Path.Combine(folder, "same.py"), s_pythonScript);
        File.WriteAllText(Path.Combine(folder, "same.mjs"), s_nodeScript);
        return new FiguresRow(
            "command",
            "components in other processes, 200-byte items",
            [
                new Subject(Python, ct => ComponentAsync(["python3", "same.py"], time, folder, supervisor, ct)),
                new Subject(Node, ct => ComponentAsync(["node", "same.mjs"], time, folder, supervisor, ct)),
                new Subject(Echo, ct => EchoAsync(time, folder, supervisor, ct)),
            ],
            [
                new Limit(Python, Rate, 50_000, AtLeast: true), new Limit(Python, Rate, 0.5, Echo, AtLeast: true),
                new Limit(Node, Rate, 50_000, AtLeast: true), new Limit(Node, Rate, 0.5, Echo, AtLeast: true),
            ]);
    }

    // The helpers as they ship, out of this assembly.
    private static void Unpack(string helper, string folder)
    {
        using var from = typeof(CommandRow).Assembly.GetManifestResourceStream(helper)!;
        using var to = File.Create(Path.Combine(folder, helper));
        from.CopyTo(to);
    }

    private static async Task<IReadOnlyList<Figure>> ComponentAsync(string[] command, TimeProvider time, string folder, ISupervisor supervisor, CancellationToken ct)
    {
        var clock = new Departure(time);
        var builder = new HarnessBuilder("command")
            .Add("source", () => new Repeating())
            .Add("same", static () => new Standing(), plan => plan with
            {
                Uses = new UsesPlan { Command = new CommandPlan(command, null, new Dictionary<string, string>(), [], 1) },
                Descriptor = CommandDescriptor.Of(ComponentType.Transformer),
            })
            .Add("sink", () => new Counting(clock))
            .Bind("source.out", "same.in")
            .Bind("same.out", "sink.in");
        var plan = builder.Plan(folder);
        var around = new CommandSurroundings
        {
            Supervisor = supervisor,
            System = plan,
            StateFolder = folder,
            Time = time,
            Loggers = NullLoggerFactory.Instance,
            Environment = Variables(),
        };
        using var assembly = BenchSystem.Assemble(plan, c => c.Uses.Command is null ? builder.Create(c) : CommandFactory.Create(c, around), time);
        await BenchSystem.RunAsync(assembly, time, ct).ConfigureAwait(false);
        return [new Figure(Rate, clock.Rate)];
    }

    private static async Task<IReadOnlyList<Figure>> EchoAsync(TimeProvider time, string folder, ISupervisor supervisor, CancellationToken ct)
    {
        var handed = new TaskCompletionSource<ProcessPipes>(TaskCreationOptions.RunContinuationsAsynchronously);
        await supervisor.AddAsync(
            new ProcessPlan
            {
                Name = "echo",
                Kind = ProcessKind.Job,
                Command = ["python3", "-c", EchoScript],
                WorkingDirectory = folder,
                Environment = System.Collections.Immutable.ImmutableDictionary.CreateRange(Variables()),
                Restart = RestartPolicy.Never,
                LogPath = Path.Combine(folder, "echo.log"),
                Pipes = pipes => handed.TrySetResult(pipes),
            },
            start: true,
            ct).ConfigureAwait(false);
        using var pipes = await handed.Task.WaitAsync(ct).ConfigureAwait(false);
        var line = Encoding.UTF8.GetBytes(s_payload + "\n");
        await pipes.WriteAsync(line, ct).ConfigureAwait(false);
        await ReadLinesAsync(pipes, 1, ct).ConfigureAwait(false);
        var start = time.GetTimestamp();
        var reading = Task.Run(() => ReadLinesAsync(pipes, Items, ct), ct);
        var block = Enumerable.Repeat(line, 100).SelectMany(static l => l).ToArray();
        for (var sent = 0; sent < Items; sent += 100)
        {
            await pipes.WriteAsync(block, ct).ConfigureAwait(false);
        }

        await reading.ConfigureAwait(false);
        var took = time.GetElapsedTime(start);
        pipes.CloseInput();
        await supervisor.RemoveAsync("echo", CancellationToken.None).ConfigureAwait(false);
        return [new Figure(Rate, Items / took.TotalSeconds)];
    }

    private static async Task ReadLinesAsync(ProcessPipes pipes, int lines, CancellationToken ct)
    {
        while (lines > 0)
        {
            var read = await pipes.Output.ReadAsync(ct).ConfigureAwait(false);
            foreach (var part in read.Buffer)
            {
                lines -= part.Span.Count((byte)'\n');
            }

            pipes.Output.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted && lines > 0)
            {
                throw new IOException($"the echo ended {lines} lines early");
            }
        }
    }

    private static Dictionary<string, string> Variables() =>
        Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToDictionary(static e => (string)e.Key, static e => (string?)e.Value ?? "", StringComparer.Ordinal);

    /// <summary>From the first answer to the last: starting an interpreter counts for nothing.</summary>
    private sealed class Departure(TimeProvider time)
    {
        private long _first;
        private long _last;
        private long _count;

        public double Rate => (_count - 1) / time.GetElapsedTime(_first, _last).TotalSeconds;

        public void Arrived()
        {
            _last = time.GetTimestamp();
            if (_count++ == 0)
            {
                _first = _last;
            }
        }
    }

    private sealed class Repeating : Source<JsonElement>
    {
        private static readonly JsonElement s_data = JsonElement.Parse(s_payload);
        private long _next;

        protected internal override ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct) =>
            new(_next < Items ? Read<JsonElement>.Item(s_data, _next, ++_next) : Read<JsonElement>.End);
    }

    // Stands for the command in the plan; its place is taken by the real one.
    private sealed class Standing : Transformer<JsonElement, JsonElement>
    {
        protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct) => throw new NotSupportedException();
    }

    private sealed class Counting(Departure clock) : Sink<JsonElement>
    {
        protected override ValueTask OnItemAsync(Event<JsonElement> e, CancellationToken ct)
        {
            clock.Arrived();
            return default;
        }
    }
}
