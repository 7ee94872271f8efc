using System.Collections.Immutable;
using Loom.Processes;

namespace Loom.Node.Provisioning;

/// <summary>Runs helpers of provisioning (node --version, npm ci) to their end, under the supervisor like every child.</summary>
public sealed class OneShot(ISupervisor supervisor, NodeOptions options, TimeProvider time)
{
    /// <summary>Runs a command; the log of its output stays under the name in the logs folder.</summary>
    /// <param name="name">Names process and log; a running number is added to the process.</param>
    /// <param name="command">Argument vector.</param>
    /// <param name="folder">Absolute working folder.</param>
    /// <param name="environment">Whole environment.</param>
    /// <param name="deadline">Time after which it is stopped.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <returns>Its exit code (null = it was ended by a signal or never started) and what it wrote last.</returns>
    public async Task<OneShotResult> RunAsync(
        string name,
        ImmutableArray<string> command,
        string folder,
        ImmutableDictionary<string, string> environment,
        TimeSpan deadline,
        CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        var plan = new ProcessPlan
        {
            Name = $"{name}-{Guid.NewGuid():N}",
            Kind = ProcessKind.Job,
            Command = command,
            WorkingDirectory = folder,
            Environment = environment,
            Restart = RestartPolicy.Never,
            Grace = TimeSpan.FromSeconds(2),
            LogPath = Path.Combine(options.LogsDir, name + ".log"),
            Log = new LogOptions { Secrets = options.Secrets },
        };
        try
        {
            var (end, tail) = await supervisor.RunToEndAsync(plan, both.Token).ConfigureAwait(false);
            return new OneShotResult(end.LastExit?.Code, tail, end.Reason, plan.LogPath);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new OneShotResult(null, [], $"not done within {deadline.TotalSeconds:0} s", plan.LogPath);
        }
    }
}

/// <summary>How a helper ended.</summary>
public sealed record OneShotResult(int? Code, ImmutableArray<string> Tail, string? Reason, string LogPath);
