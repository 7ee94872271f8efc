using Loom.Components;
using Loom.Harness.Errors;

namespace Loom.Harness.Execution;

/// <summary>
/// Sends dead letters into the running system again. A letter is crossed out only once its event is done for good: after the component handled it, or failed on it again and wrote
/// a new letter, and after a barrier behind it has come through. Killed in between, the system still has the letter. One for each request: what is not begun when its
/// time is up, or when nobody waits for its answer any more, stays a letter; what is in work is brought to its end.
/// </summary>
internal sealed class LetterRetry(SystemAssembly assembly)
{
    /// <summary>How long letters of one request wait for their components, all of them together.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan s_betweenBarriers = TimeSpan.FromMilliseconds(200);

    private readonly long _since = assembly.Materials.Time.GetTimestamp();
    private long _notTried;

    /// <summary>Letters that were not tried because the time was up.</summary>
    public long NotTried => Interlocked.Read(ref _notTried);

    private TimeSpan Left => Patience - assembly.Materials.Time.GetElapsedTime(_since);

    /// <summary>Sends some letters and waits for all of them.</summary>
    /// <returns>Ids of those that are done for good.</returns>
    public async ValueTask<IReadOnlyCollection<string>> SendAsync(IReadOnlyList<DeadLetter> letters, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        if (Left <= TimeSpan.Zero)
        {
            Interlocked.Add(ref _notTried, letters.Count);
            return [];
        }

        var sent = letters.Select(l => (l.Record.ErrorId, Injection: Inject(l))).Where(s => s.Injection is not null).ToList();
        var ends = await Task.WhenAll(sent.Select(s => EndOfAsync(s.Injection!, ct))).ConfigureAwait(false);
        var settled = sent.Zip(ends).Where(static s => s.Second != InjectionEnd.Refused).Select(static s => s.First.ErrorId).ToList();

        return settled.Count == 0 || await ConfirmAsync().ConfigureAwait(false) ? settled : [];
    }

    // What came of the events may still be in the streams: a barrier passes behind it. One that is given up says nothing, and left alone a letter that is done would be sent once more.
    private async Task<bool> ConfirmAsync()
    {
        while (!await assembly.Barriers.ConfirmAsync(CancellationToken.None).ConfigureAwait(false))
        {
            if (Left <= TimeSpan.Zero)
            {
                return false;
            }

            await Task.Delay(s_betweenBarriers, assembly.Materials.Time, CancellationToken.None).ConfigureAwait(false);
        }

        return true;
    }

    private Injection? Inject(DeadLetter letter)
    {
        var host = assembly.Run.Hosts.FirstOrDefault(h => h.Plan.Name == letter.Record.Component);
        if (host is null || host.State != ComponentState.Running || host.Plan.Ports.All(p => !p.IsInput || p.Name != letter.Record.Port))
        {
            return null;
        }

        var e = new Event<System.Text.Json.JsonElement>(EventId.Parse(letter.Record.Event.Id), letter.Payload, letter.Key, letter.Record.Event.Time, letter.Record.Mock);
        foreach (var (name, value) in letter.Headers)
        {
            e = e.WithHeader(name, value);
        }

        var injection = new Injection(letter.Record.Port, e);
        if (!host.Loop.Injections.Add(injection))
        {
            return null;
        }

        host.Loop.Ask(Attention.Inject);
        return injection;
    }

    // A component that is held, or that never asks its input, does not keep the letters waiting for ever.
    private async Task<InjectionEnd> EndOfAsync(Injection injection, CancellationToken ct)
    {
        try
        {
            return await injection.Completion.WaitAsync(Left > TimeSpan.Zero ? Left : TimeSpan.Zero, assembly.Materials.Time, ct).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException && injection.TryTake())
        {
            Interlocked.Increment(ref _notTried);
            return InjectionEnd.Refused;
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            // In work: whatever it takes. Left alone it would be done and still be a letter.
            return await injection.Completion.ConfigureAwait(false);
        }
    }
}
