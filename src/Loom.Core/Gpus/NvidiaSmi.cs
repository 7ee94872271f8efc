using System.Collections.Immutable;
using System.Globalization;
using Loom.Wire;

namespace Loom.Core.Gpus;

/// <summary>The command lines of <c>nvidia-smi</c> that are used, and what their answers mean. Pure.</summary>
public static class NvidiaSmi
{
    private const long MiB = 1L << 20;
    private const int FieldsBeforeName = 3;
    private const int FieldsAfterName = 5;

    /// <summary>Arguments that list the devices.</summary>
    public static ImmutableArray<string> DeviceQuery { get; } =
        ["--query-gpu=index,uuid,pci.bus_id,name,memory.total,memory.free,utilization.gpu,temperature.gpu,compute_cap", "--format=csv,noheader,nounits"];

    /// <summary>The same for drivers that do not know <c>compute_cap</c> (before 510) and refuse the whole query for it.</summary>
    public static ImmutableArray<string> OldDeviceQuery { get; } =
        ["--query-gpu=index,uuid,pci.bus_id,name,memory.total,memory.free,utilization.gpu,temperature.gpu", "--format=csv,noheader,nounits"];

    /// <summary>Arguments that list the processes on the devices.</summary>
    public static ImmutableArray<string> ProcessQuery { get; } = ["--query-compute-apps=gpu_uuid,pid", "--format=csv,noheader,nounits"];

    /// <summary>Whether a failed <see cref="DeviceQuery"/> failed for the field that old drivers lack.</summary>
    public static bool LacksComputeCapability(IEnumerable<string> output) => output.Any(l => l.Contains("\"compute_cap\" is not a valid field", StringComparison.Ordinal));

    /// <summary>Reads the answers.</summary>
    /// <param name="devices">Lines of a device query that ended with 0.</param>
    /// <param name="processes">Lines of the process query; null = it failed.</param>
    /// <param name="ours">Whether a process is one of this Loom's own.</param>
    /// <returns>Devices in PCI bus order; a line that is no device is told as trouble.</returns>
    public static GpuReading Parse(IEnumerable<string> devices, IEnumerable<string>? processes, Func<int, bool> ours)
    {
        var foreign = processes is null ? null : Foreign(processes, ours);
        var found = new List<(string, GpuDevice)>();
        string? trouble = null;
        foreach (var line in devices.Where(l => !string.IsNullOrWhiteSpace(l) && !l.StartsWith("No devices were found", StringComparison.Ordinal)))
        {
            if (Device(line, foreign) is { } device)
            {
                found.Add(device);
            }
            else
            {
                trouble = $"nvidia-smi wrote a line that is no device: {line.Trim()}";
            }
        }

        return new GpuReading(PciOrder.Number(found), trouble);
    }

    private static (string BusId, GpuDevice Device)? Device(string line, Dictionary<string, int>? foreign)
    {
        // Only the name may hold a comma, and only the last field may be missing.
        var fields = line.Split(',', StringSplitOptions.TrimEntries);
        var last = Number(fields[^1]) is not null && fields[^1].Contains('.', StringComparison.Ordinal) ? fields[^1] : null;
        var after = last is not null || fields.Length > FieldsBeforeName + FieldsAfterName && IsUnreadable(fields[^1]) ? FieldsAfterName : FieldsAfterName - 1;
        if (fields.Length < FieldsBeforeName + 1 + after || !fields[1].StartsWith("GPU-", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var numbers = fields[^after..];
        var name = string.Join(", ", fields[FieldsBeforeName..^after]);
        return (fields[2], new GpuDevice
        {
            DeviceId = 0,
            Uuid = fields[1],
            Name = IsUnreadable(name) ? null : name,
            VramTotalBytes = (long?)(Number(numbers[0]) * MiB),
            VramFreeBytes = (long?)(Number(numbers[1]) * MiB),
            Utilization = Number(numbers[2]) / 100.0,
            TemperatureC = (int?)Number(numbers[3]),
            ComputeCapability = last,
            ForeignProcesses = foreign is null ? null : foreign.GetValueOrDefault(fields[1]),
        });
    }

    private static Dictionary<string, int> Foreign(IEnumerable<string> lines, Func<int, bool> ours)
    {
        var pids = new HashSet<(string, int)>();
        foreach (var line in lines)
        {
            if (line.Split(',', StringSplitOptions.TrimEntries) is [var uuid, var pid] && int.TryParse(pid, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                pids.Add((uuid, number));
            }
        }

        return pids.Where(p => !ours(p.Item2)).GroupBy(p => p.Item1, StringComparer.OrdinalIgnoreCase)
            .ToDictionary(g => g.Key, g => g.Count(), StringComparer.OrdinalIgnoreCase);
    }

    // [N/A], [Not Supported], [Unknown Error], [GPU is lost], ERR!
    private static bool IsUnreadable(string field) => field.Length == 0 || field[0] == '[' || field is "N/A" or "ERR!";

    private static double? Number(string field) => double.TryParse(field, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) ? number : null;
}
