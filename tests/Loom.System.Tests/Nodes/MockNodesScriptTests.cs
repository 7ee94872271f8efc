using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Nodes;

/// <summary><c>loom dev mock-nodes</c> with a script, and a real control plane that answers it.</summary>
public sealed class MockNodesScriptTests
{
    private const string Script = """
        # one of each
        {"at_ms":0,"node":"0","do":"skew","ms":-60000}
        {"at_ms":1500,"node":"1","do":"slots","free":1,"total":3}
        {"at_ms":1500,"node":"2","do":"impostor"}
        {"at_ms":1500,"node":"3","do":"silence"}
        """;

    [Fact(Timeout = 300_000)]
    public async Task Script_SilenceImpostorSkewSlots_AreSeenAndAnswered()
    {
        await using var world = new ClusterWorld();
        await world.StartControlAsync();
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["script.jsonl"], Script);
        var info = new ProcessStartInfo(
            RunningLoom.Program,
            ["dev", "mock-nodes", "--count", "4", "--url", world.Api.GetLeftPart(UriPartial.Authority), "--script", "script.jsonl", "--seed", "7", "--all", "--json"])
        {
            WorkingDirectory = folder.Path, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        info.Environment["LLORCH_API_TOKEN"] = ClusterWorld.Token;
        var answers = new ConcurrentQueue<JsonElement>();
        using var nodes = Process.Start(info)!;
        nodes.OutputDataReceived += (sender, line) =>
        {
            if (line.Data is not ['{', ..])
            {
                return;
            }

            using var document = JsonDocument.Parse(line.Data);
            if (document.RootElement.TryGetProperty("did", out _))
            {
                answers.Enqueue(document.RootElement.Clone());
            }
        };
        nodes.BeginOutputReadLine();
        nodes.BeginErrorReadLine();
        try
        {
            bool Answered(string did, int status) => answers.Any(a => a.GetProperty("did").GetString() == did && a.GetProperty("status").GetInt32() == status);
            await Deadline.Until(() => Answered("impostor", 409), "the impostor is refused");
            Answered("register", 200).ShouldBeTrue();
            await Deadline.Until(
                () => answers.Where(a => a.GetProperty("did").GetString() == "register").Select(a => a.GetProperty("node").GetString()).Distinct().Count() == 4, "four have registered");
            var ids = answers.Select(a => a.GetProperty("node").GetString()!).Distinct().Order(StringComparer.Ordinal).ToList();

            await ClusterWorld.WaitAsync(async () => await world.NodeAsync(ids[0]) is { ClockSkewMs: < -50_000 }, "the skew of the first is told");
            await ClusterWorld.WaitAsync(async () => await world.NodeAsync(ids[1]) is { Pools: [{ SlotsFree: 1, SlotsTotal: 3 }, ..] }, "the slots of the second are as told");
            await world.UntilAsync(ids[3], "offline");
            foreach (var id in ids.Take(3))
            {
                await world.UntilAsync(id, "online"); // a beat may be late on a busy machine, and the next one mends it
            }

            (await world.NodeAsync(ids[0]))!.Mock.ShouldBeTrue();
        }
        finally
        {
            Signals.Send(nodes.Id, Signals.Term);
            await nodes.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(120));
        }
    }
}
