using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Loom.SystemTests.Harness.Signals;
using Loom.Testing;
using Microsoft.Data.Sqlite;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>
/// <c>reply: after_ack</c> under <c>kill -9</c>: whoever was told that a request is done finds it in the output, exactly once. Into staged files the word is a checkpoint;
/// into SQLite, where the system keeps no state, a barrier that has come through.
/// </summary>
public sealed class AcknowledgeDrills
{
    private const int Clients = 8;

    [Theory(Timeout = 3_600_000)]
    [InlineData("jsonl_out", "path: out.jsonl")]
    [InlineData("sqlite_out", "table: t, key: $.n")]
    public async Task Kill9_WhileRequestsAreAcknowledged_LosesNoneThatWas(string sink, string config)
    {
        await using var system = await RunningSystem.StartAsync($$"""
            schema_version: "1.0.0"
            system: { name: desk, version: 1.0.0 }
            components:
              - { name: web, type: APIEndpoint, uses: http_in, config: { route: /in, reply: after_ack } }
              - { name: mark, type: Transformer, uses: map, config: { set: { twice: data.n * 2 } }, concurrency: 4 }
              - { name: store, type: Sink, uses: {{sink}}, config: { {{config}} } }
            bindings:
              - { from: web.out, to: mark.in }
              - { from: mark.out, to: store.in }
            policy: { delivery: at_least_once }
            """);
        var random = new Random();
        var desk = new Desk(system);
        var kills = Drill.Count(3, 20);
        for (var kill = 0; kill < kills; kill++)
        {
            await desk.UntilKilledAsync(random.Next(20, 300));
            await system.LaunchAsync();
        }

        (await system.DrainAsync()).ShouldBe(0, system.Err);
        var visible = sink == "sqlite_out" ? Rows(system.Folder["data.db"]) : Lines(system.Folder["out.jsonl"]);
        visible.ShouldBeUnique();
        desk.Acknowledged.Except(visible).ShouldBeEmpty("acknowledged and lost");
        visible.Except(desk.Sent).ShouldBeEmpty();
        Drill.Report($"kill -9 while requests are acknowledged, {sink}", kills, kills, $"{desk.Sent.Count} sent, {desk.Acknowledged.Count} acknowledged, {visible.Count} visible, 0 lost, 0 twice");
    }

    private static List<int> Lines(string file) => [.. File.ReadLines(file).Select(static l => JsonElement.Parse(l).GetProperty("n").GetInt32())];

    private static List<int> Rows(string file)
    {
        using var database = new SqliteConnection($"Data Source={file};Mode=ReadOnly;Pooling=False");
        database.Open();
        using var command = database.CreateCommand();
        command.CommandText = "SELECT n FROM t";
        using var rows = command.ExecuteReader();
        var all = new List<int>();
        while (rows.Read())
        {
            all.Add(Convert.ToInt32(rows.GetValue(0), CultureInfo.InvariantCulture));
        }

        return all;
    }

    // Clients that send numbers until nobody answers any more.
    private sealed class Desk(RunningSystem system)
    {
        private int _last;

        public ConcurrentBag<int> Sent { get; } = [];

        public ConcurrentBag<int> Acknowledged { get; } = [];

        public async Task UntilKilledAsync(int acknowledged)
        {
            var wanted = Acknowledged.Count + acknowledged;
            var clients = Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => Task.Run(SendAsync)));
            await Deadline.Until(() => Acknowledged.Count >= wanted || clients.IsCompleted, $"{wanted} requests are acknowledged", RunningLoom.Deadline);
            clients.IsCompleted.ShouldBeFalse(system.Err);
            await system.KillAsync();
            await clients.WaitAsync(RunningLoom.Deadline);
        }

        private async Task SendAsync()
        {
            while (true)
            {
                var number = Interlocked.Increment(ref _last);
                Sent.Add(number);
                try
                {
                    var (status, body) = await system.PostAsync("/in", $$"""{"n":{{number}}}""");
                    if (status == HttpStatusCode.OK)
                    {
                        Acknowledged.Add(number);
                    }
                    else if (status != HttpStatusCode.ServiceUnavailable)
                    {
                        throw new InvalidOperationException($"{status}: {body}"); // 503 is no word, and nothing is lost by it
                    }
                }
                catch (Exception e) when (e is HttpRequestException or IOException)
                {
                    return;
                }
            }
        }
    }
}
