using System.Net.Http.Headers;
using System.Text.Json;
using Loom.Agents.Project;
using Loom.Cli.Status;
using Loom.Core.Settings;
using Loom.Node;
using Loom.Node.Handoff;
using Loom.Node.Link;
using Loom.Node.Provisioning;

namespace Loom.Cli.Verbs;

/// <summary>
/// Waits until the agent of this machine has taken engines over: their replicas answer, and with auto-delete their files are gone, which the agent does last. The agent
/// is asked where it is: by the socket of a project that runs in this folder, else on its own port.
/// </summary>
internal sealed class HandoffWait(VerbContext context, SettingsSnapshot settings, NodeOptions node)
{
    // An agent has seen a file that lies there for so long.
    private static readonly TimeSpan s_seenWithin = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_every = TimeSpan.FromMilliseconds(250);

    // Time an agent may need to see a file, to stop what runs and to make a first token, beside the start itself.
    private static readonly TimeSpan s_around = TimeSpan.FromSeconds(15);

    /// <summary>Waits for all of them.</summary>
    /// <exception cref="ProvisionException">One does not answer in its time, or was refused (exit 10).</exception>
    public async Task RunAsync(IReadOnlyList<HandedOver> engines, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken)
    {
        foreach (var engine in engines)
        {
            progress.Report(EngineProvisionerVerb.Step("warm", engine.Pool, StepStatus.Running, "wait", $"{engine.Replica}: waiting for the agent"));
            if (await WaitAsync(engine, progress, cancellationToken).ConfigureAwait(false) is { } trouble)
            {
                progress.Report(EngineProvisionerVerb.Step("warm", engine.Pool, StepStatus.Failed, "failed", trouble));
                throw new ProvisionException(ProvisionExit.NotHealthy, trouble);
            }

            progress.Report(EngineProvisionerVerb.Step("warm", engine.Pool, StepStatus.Completed, "done", $"{engine.Replica} answers"));
        }
    }

    /// <returns>Why it does not answer; null = it does.</returns>
    private async Task<string?> WaitAsync(HandedOver engine, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken)
    {
        var began = context.Time.GetTimestamp();
        var limit = engine.Within + s_around;
        string? told = null;
        while (true)
        {
            if (Refusal(engine) is { } refusal)
            {
                return $"the agent refused the handoff file: {refusal}";
            }

            var seen = await LookAsync(engine, cancellationToken).ConfigureAwait(false);
            var taken = node.Handoff.AutoDelete ? !File.Exists(engine.Path) : context.Time.GetElapsedTime(began) >= s_seenWithin;
            if (taken && (seen is null || seen.Ready))
            {
                return null;
            }

            if (seen is { Failed: true } && context.Time.GetElapsedTime(began) >= s_seenWithin)
            {
                return $"replica {engine.Pool}/{engine.Replica} failed: {seen.LastError}";
            }

            if (context.Time.GetElapsedTime(began) >= limit)
            {
                return seen is null
                    ? $"no agent took {engine.Path} over within {limit.TotalSeconds:0} s; start loom up or loom pool-managerd here"
                    : $"replica {engine.Pool}/{engine.Replica} does not answer within {limit.TotalSeconds:0} s: {seen.LastError ?? seen.State}";
            }

            if (seen is not null && seen.State != told)
            {
                progress.Report(EngineProvisionerVerb.Step("warm", engine.Pool, StepStatus.Running, told = seen.State, $"{engine.Replica} is {seen.State}"));
            }

            await Task.Delay(s_every, context.Time, cancellationToken).ConfigureAwait(false);
        }
    }

    private static string? Refusal(HandedOver engine)
    {
        var reason = Path.Combine(Path.GetDirectoryName(engine.Path)!, HandoffFolder.QuarantineName, Path.GetFileName(engine.Path) + ".reason.txt");
        // A reason from before is about an older file of that name; clocks of disks tick coarsely.
        return !File.Exists(engine.Path) && File.Exists(reason) && File.GetLastWriteTimeUtc(reason) >= engine.Written.UtcDateTime - TimeSpan.FromSeconds(1) ? File.ReadAllText(reason).Trim() : null;
    }

    private async Task<Seen?> LookAsync(HandedOver engine, CancellationToken cancellationToken)
    {
        if (new RunningProject(RunDirectory.Of(settings.ProjectFolder)).TryLook(cancellationToken) is { } run)
        {
            return run.Pools.FirstOrDefault(p => p.Pool == engine.Pool && p.Replica == engine.Replica) is { } pool
                ? new Seen(pool.State, pool.State == "ready", pool.State == "failed", pool.LastError) : null;
        }

        return await AskAgentAsync(engine, cancellationToken).ConfigureAwait(false);
    }

    private async Task<Seen?> AskAgentAsync(HandedOver engine, CancellationToken cancellationToken)
    {
        var bind = settings.Get(LinkSettings.Bind);
        var host = bind.Host is "0.0.0.0" or "::" or "[::]" ? "127.0.0.1" : bind.Host;
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { Timeout = TimeSpan.FromSeconds(5) };
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{host}:{bind.Port}/v2/pools/{engine.Pool}/status");
        if (settings.GetOrNull(SharedSettings.Token) is { } token)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token.Reveal());
        }

        try
        {
            using var answer = await http.SendAsync(request, cancellationToken).ConfigureAwait(false);
            if (!answer.IsSuccessStatusCode)
            {
                return null;
            }

            using var json = JsonDocument.Parse(await answer.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false));
            var replica = json.RootElement.GetProperty("replicas").EnumerateArray().FirstOrDefault(r => r.GetProperty("replica_id").GetString() == engine.Replica);
            if (replica.ValueKind != JsonValueKind.Object)
            {
                return null;
            }

            var ready = replica.GetProperty("ready").GetBoolean();
            return new Seen(ready ? "ready" : "not ready", ready, false, replica.Text("last_error"));
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }

    private sealed record Seen(string State, bool Ready, bool Failed, string? LastError);
}
