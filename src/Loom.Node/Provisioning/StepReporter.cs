using System.Globalization;
using Loom.Core.Binaries;

namespace Loom.Node.Provisioning;

/// <summary>Reports one step: its start, its bytes at most ten times a second, its end.</summary>
internal sealed class StepReporter(IProgress<ProvisionProgress> progress, TimeProvider time, string step, string kind, string? group)
    : IProgress<TransferProgress>
{
    private static readonly TimeSpan s_every = TimeSpan.FromMilliseconds(100);
    private long? _last;
    private ProvisionProgress? _told;

    /// <summary>Runs the step and reports how it ended; its error goes on to the caller.</summary>
    public async Task<T> RunAsync<T>(string human, Func<Task<T>> body)
    {
        Report(StepStatus.Running, "start", human, 0, null);
        try
        {
            var result = await body().ConfigureAwait(false);
            Report(StepStatus.Completed, "done", "done", _told!.BytesTotal ?? 0, _told.BytesTotal);
            return result;
        }
        catch (Exception e)
        {
            Report(StepStatus.Failed, "failed", e.Message, _told!.BytesDone, _told.BytesTotal);
            throw;
        }
    }

    /// <summary>Tells what is being done now.</summary>
    public void Phase(string phase, string human) => Report(StepStatus.Running, phase, human, 0, null);

    public void Report(TransferProgress value)
    {
        var due = _last is not { } last || time.GetElapsedTime(last) >= s_every || value.BytesDone == value.BytesTotal;
        if (value.Note is null && !due && value.Phase == _told?.Phase)
        {
            return;
        }

        _last = time.GetTimestamp();
        var human = value.Note ?? (value.BytesTotal is { } total
            ? string.Create(CultureInfo.InvariantCulture, $"{value.Phase} {ByteSize.Text(value.BytesDone)} of {ByteSize.Text(total)}")
            : $"{value.Phase} {ByteSize.Text(value.BytesDone)}");
        Report(StepStatus.Running, value.Phase, human, value.BytesDone, value.BytesTotal);
    }

    private void Report(StepStatus status, string phase, string human, long done, long? total)
    {
        _told = new ProvisionProgress { Step = step, Kind = kind, Group = group, Status = status, BytesDone = done, BytesTotal = total, Phase = phase,
            Human = human };
        progress.Report(_told);
    }
}
