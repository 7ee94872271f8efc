using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Gpus;

/// <summary>A machine with two GPUs, as far as a program called <c>nvidia-smi</c> can tell.</summary>
public sealed class GpuDiscoveryTests : IDisposable
{
    private const string First = "0, GPU-aaaaaaaa-0000-0000-0000-000000000000, 00000000:3B:00.0, NVIDIA T4, 15360, 15000, 0, 31, 7.5\n";
    private const string Second = "1, GPU-bbbbbbbb-0000-0000-0000-000000000001, 00000000:AF:00.0, NVIDIA T4, 15360, 14000, 0, 33, 7.5\n";

    private readonly TempFolder _bin = new();
    private readonly HttpClient _http = new();

    public void Dispose()
    {
        _bin.Dispose();
        _http.Dispose();
    }

    [Fact(Timeout = 240_000)]
    public async Task Device_VanishesAndComesBack_ItsReplicasFollow()
    {
        Devices(First + Second);
        await using var loom = await RunningLoom.UpAsync(
            $"""
            [gpus]
            source = "nvidia-smi"
            [serving.node]
            gpu_discovery_interval_ms = 1000
            [serving.engines.c]
            kind = "command"
            command = ["{RunningLoom.Program}", "dev", "mock-engine", "--port", "{"{port}"}", "--model", "m"]
            [serving.pools.chat]
            engine = "c"
            models = ["m"]
            device_mask = ["1"]
            """,
            ("PATH", Path()));

        var engine = loom.Survivors().Single(s => s.Contains("mock-engine")).Split(' ')[0];
        (await File.ReadAllTextAsync($"/proc/{engine}/environ")).Split('\0').ShouldContain("CUDA_VISIBLE_DEVICES=GPU-bbbbbbbb-0000-0000-0000-000000000001");

        Devices(First);
        var gone = await UntilAsync(loom, "unready");
        gone.GetProperty("last_error").GetString().ShouldBe("GPU 1 = GPU-bbbbbbbb-0000-0000-0000-000000000001 (NVIDIA T4) has vanished");
        await Deadline.Until(() => File.ReadAllText(System.IO.Path.Combine(loom.Folder, ".loom", "logs", "loom.log")).Contains("GPU 1 vanished", StringComparison.Ordinal), "the log says so");

        Devices(First + Second);
        await UntilAsync(loom, "ready");
    }

    [Fact(Timeout = 300_000)]
    public async Task Start_MaskOfADeviceThatIsNotThere_ListsThoseThatAre()
    {
        Devices(First + Second);
        var folder = RunningLoom.NewFolder("[gpus]\nsource = \"nvidia-smi\"\n[serving.engines.m]\nkind = \"mock\"\n[serving.pools.chat]\nengine = \"m\"\ndevice_mask = [\"2\"]\n");
        try
        {
            var (exit, _, errors) = await RunningLoom.RunAsync(folder, ["up", "--no-input"], [("PATH", Path())]);

            exit.ShouldBe(2);
            errors.ShouldContain("serving.pools.chat.device_mask = 2: no GPU 2 on this machine; devices present: 0 = GPU-aaaaaaaa-0000-0000-0000-000000000000 (NVIDIA T4), 1 = GPU-bbbbbbbb");
        }
        finally
        {
            TempFolder.Delete(folder);
        }
    }

    private string Path() => $"{_bin.Path}:{Environment.GetEnvironmentVariable("PATH")}";

    // Replaced whole, since it is read at any moment.
    private void Devices(string lines)
    {
        File.WriteAllText(_bin["next"], lines);
        File.Move(_bin["next"], _bin["devices"], overwrite: true);
        if (!File.Exists(_bin["nvidia-smi"]))
        {
            File.WriteAllText(_bin["nvidia-smi"], $"#!/bin/sh\ncase \"$1\" in --query-gpu*) exec cat {_bin["devices"]} ;; esac\n");
            File.SetUnixFileMode(_bin["nvidia-smi"], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private async Task<JsonElement> UntilAsync(RunningLoom loom, string state)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(loom.Api, "/health/detail"));
            request.Headers.Authorization = new("Bearer", loom.Token);
            using var answer = await _http.SendAsync(request);
            using var health = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
            var replica = health.RootElement.GetProperty("replicas")[0];
            if (replica.GetProperty("state").GetString() == state)
            {
                return replica.Clone();
            }

            TimeProvider.System.GetElapsedTime(began).ShouldBeLessThan(TimeSpan.FromSeconds(180), $"the replica did not become {state}: {replica}");
            await Task.Delay(50);
        }
    }
}
