using System.Runtime.InteropServices;

namespace Loom.Cli;

/// <summary>
/// SIGINT, SIGTERM and SIGHUP of this process. The first one asks for an ordered stop. A second one ends the process; where a verb owns the stop, it asks that verb
/// for an immediate end, and later ones are ignored unless the verb lets a third one end the process.
/// </summary>
internal sealed class ProcessSignals : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _kill = new();
    private readonly PosixSignalRegistration[] _registrations;
    private int _count;

    public ProcessSignals()
    {
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
            PosixSignalRegistration.Create(PosixSignal.SIGHUP, Handle),
        ];
    }

    /// <summary>Fires on the first signal: stop in order.</summary>
    public CancellationToken Stop => _stop.Token;

    /// <summary>Fires on the second signal: end now.</summary>
    public CancellationToken Kill => _kill.Token;

    /// <summary>The first signal that came; null while none has.</summary>
    public PosixSignal? First { get; private set; }

    /// <summary>Whether the verb ends what it started itself, however often it is asked; otherwise a second signal ends the process as it would any other.</summary>
    public bool VerbOwnsStop { get; set; }

    /// <summary>Whether a third signal ends the process at once where the verb owns the stop; the guardian then ends what it had started.</summary>
    public bool ThirdEnds { get; set; }

    /// <summary>What to do on SIGHUP instead of stopping; a detached runtime reopens its logs.</summary>
    public Action? OnHangup { get; set; }

    /// <summary>Asks for an ordered stop as a first signal would; nothing when one has come already.</summary>
    public void RequestStop()
    {
        if (Interlocked.CompareExchange(ref _count, 1, 0) == 0)
        {
            _stop.Cancel();
        }
    }

    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }

        _stop.Dispose();
        _kill.Dispose();
    }

    internal void Handle(PosixSignalContext context)
    {
        if (context.Signal == PosixSignal.SIGHUP && OnHangup is { } hangup)
        {
            context.Cancel = true;
            hangup();
            return;
        }

        var count = Interlocked.Increment(ref _count);
        context.Cancel = count == 1 || (VerbOwnsStop && (count == 2 || !ThirdEnds));
        switch (count)
        {
            case 1:
                First = context.Signal;
                _stop.Cancel();
                break;
            case 2:
                _kill.Cancel();
                break;
        }
    }
}
