using System.Net;
using System.Net.Sockets;
using Loom.Processes.Native;
using Loom.Processes.Spawning;
using Loom.Processes.Watching;

namespace Loom.Processes.Probes;

/// <summary>What one probe found.</summary>
internal readonly record struct ProbeResult(bool Passed, string Detail);

/// <summary>Carries out single probes. Redirects are not followed, no proxy is asked, no connection is kept: each probe sees the child as a newcomer would.</summary>
internal sealed class ProbeRunner(DescriptorLoop descriptors, TimeProvider time) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false, UseCookies = false })
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    public void Dispose() => _http.Dispose();

    /// <summary>Runs one probe to its end or to its timeout. <see cref="ProbeCheck.Log"/> is not a probe of this kind: lines come by themselves.</summary>
    internal async Task<ProbeResult> RunAsync(ProbePlan probe, ProcessPlan plan, IReadOnlyDictionary<string, string> environment, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(probe.Timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return probe.Check switch
            {
                ProbeCheck.Http http => await GetAsync(http, both.Token).ConfigureAwait(false),
                ProbeCheck.Tcp tcp => await ConnectAsync(tcp.Host, tcp.Port, both.Token).ConfigureAwait(false),
                ProbeCheck.Exec exec => await ExecAsync(exec, plan, environment, both.Token).ConfigureAwait(false),
                _ => throw new InvalidOperationException($"{probe.Check.GetType().Name} is not a probe that is run"),
            };
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return new ProbeResult(false, $"{Describe(probe.Check)}: no answer within {probe.Timeout.TotalSeconds:0.###} s");
        }
    }

    /// <summary>A message naming who answers on the port the check is going to look at; null when nobody does.</summary>
    internal async Task<string?> WhoAnswersAsync(ProbeCheck check, CancellationToken cancellationToken)
    {
        var (host, port) = check switch
        {
            ProbeCheck.Http http => (http.Url.DnsSafeHost, http.Url.Port),
            ProbeCheck.Tcp tcp => (tcp.Host, tcp.Port),
            _ => (string.Empty, 0),
        };
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1), time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            if (port == 0 || !(await ConnectAsync(host, port, both.Token).ConfigureAwait(false)).Passed)
            {
                return null;
            }
        }
        catch (OperationCanceledException)
        {
            return null;
        }

        var holder = HolderOf(port)?.ToString() ?? "a process that cannot be seen from here";
        return $"port {port} of '{host}' answers before the start: it is in use by {holder}; stop that, or choose another port";
    }

    private static PortHolder? HolderOf(int port)
    {
        try
        {
            return PortHolder.Find(port);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // out of descriptors, most likely: that the port answers is known all the same
        }
    }

    private async Task<ProbeResult> GetAsync(ProbeCheck.Http check, CancellationToken cancellationToken)
    {
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, check.Url);
            request.Headers.ConnectionClose = true;
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
            var status = (int)response.StatusCode;
            return new ProbeResult(status >= check.MinStatus && status <= check.MaxStatus, $"{Describe(check)}: status {status}");
        }
        catch (HttpRequestException e)
        {
            return new ProbeResult(false, $"{Describe(check)}: {e.InnerException?.Message ?? e.Message}");
        }
    }

    private static async Task<ProbeResult> ConnectAsync(string host, int port, CancellationToken cancellationToken)
    {
        try
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(new DnsEndPoint(host, port), cancellationToken).ConfigureAwait(false);

            // A connection to a free port of the ephemeral range can meet itself.
            return socket.LocalEndPoint!.Equals(socket.RemoteEndPoint)
                ? new ProbeResult(false, $"connect {host}:{port}: nobody but ourselves")
                : new ProbeResult(true, $"connect {host}:{port}");
        }
        catch (SocketException e)
        {
            return new ProbeResult(false, $"connect {host}:{port}: {e.Message}");
        }
    }

    private async Task<ProbeResult> ExecAsync(
        ProbeCheck.Exec check, ProcessPlan plan, IReadOnlyDictionary<string, string> environment, CancellationToken cancellationToken)
    {
        SpawnedChild child;
        try
        {
            child = Spawner.Spawn(new SpawnRequest { Command = check.Command, WorkingDirectory = plan.WorkingDirectory, Environment = environment, PipeOutput = false });
        }
        catch (SpawnException e)
        {
            return new ProbeResult(false, e.Message);
        }

        var exit = new ExitSignal();
        try
        {
            descriptors.Add(child.Exit, exit);
        }
        catch (IOException e)
        {
            Signals.SendToGroup(child.Pid, Linux.SigKill);
            Children.ReapBlocking(child.Pid);
            child.Dispose();
            return new ProbeResult(false, $"{check.Command[0]}: {e.Message}");
        }

        try
        {
            var (code, signal) = await exit.Ended.WaitAsync(cancellationToken).ConfigureAwait(false);
            return new ProbeResult(code == 0, code is not null ? $"{check.Command[0]}: exit {code}" : signal is not null ? $"{check.Command[0]}: signal {signal}" : $"{check.Command[0]}: ended, nobody knows how");
        }
        finally
        {
            // Timeout and cancellation come here too: the probe's whole group ends before its leader is reaped.
            Signals.SendToGroup(child.Pid, Linux.SigKill);
            await ((Task)exit.Ended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Children.Reap(child.Pid);
        }
    }

    internal static string Describe(ProbeCheck check) => check switch
    {
        ProbeCheck.Http http => $"GET {http.Url.GetComponents(UriComponents.SchemeAndServer | UriComponents.Path, UriFormat.UriEscaped)}", // a query may hold a key
        ProbeCheck.Tcp tcp => $"connect {tcp.Host}:{tcp.Port}",
        ProbeCheck.Exec exec => exec.Command[0],
        ProbeCheck.Log log => $"line matching '{log.Pattern}'",
        _ => check.GetType().Name,
    };
}

/// <summary>Completes when the child behind a pidfd has ended; the child is left unreaped.</summary>
internal sealed class ExitSignal : IReadable
{
    private readonly TaskCompletionSource<(int? Code, int? Signal)> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal Task<(int? Code, int? Signal)> Ended => _ended.Task;

    public bool OnReadable(int descriptor, Span<byte> buffer)
    {
        if (Children.PeekExit(descriptor) is not { } exit)
        {
            return true;
        }

        _ended.TrySetResult(exit);
        return false;
    }

    public void OnClosed() => _ended.TrySetCanceled();
}
