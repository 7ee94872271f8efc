using System.Collections.Immutable;
using System.Globalization;
using Loom.Wire;

namespace Loom.Core.Gpus;

/// <summary>The GPUs a mask means on this machine.</summary>
/// <param name="Devices">Each once, in the order written; empty = the CPU.</param>
/// <param name="Unknown">Entries that name nothing here.</param>
public sealed record GpuSelection(ImmutableArray<GpuDevice> Devices, ImmutableArray<string> Unknown)
{
    /// <summary>As <c>CUDA_VISIBLE_DEVICES</c> takes it: UUIDs mean the same whatever order a driver counts in.</summary>
    public string Visible => string.Join(',', Devices.Select(d => d.Uuid));
}

/// <summary>Reads masks: indices in PCI bus order, UUIDs or unambiguous beginnings of one, or <c>none</c>. Pure.</summary>
public static class GpuMask
{
    /// <summary>The word for the CPU.</summary>
    public const string None = "none";

    /// <summary>Whether the mask asks for the CPU.</summary>
    public static bool IsNone(ImmutableArray<string> mask) => mask.IsDefaultOrEmpty || (mask.Length == 1 && mask[0].Equals(None, StringComparison.OrdinalIgnoreCase));

    /// <summary>Looks the entries up among the devices.</summary>
    public static GpuSelection Select(ImmutableArray<string> mask, ImmutableArray<GpuDevice> devices)
    {
        if (IsNone(mask))
        {
            return new GpuSelection([], []);
        }

        var found = new List<GpuDevice>(mask.Length);
        var unknown = new List<string>();
        foreach (var entry in mask)
        {
            if (Find(entry.Trim(), devices) is not { } device)
            {
                unknown.Add(entry);
            }
            else if (!found.Contains(device))
            {
                found.Add(device);
            }
        }

        return new GpuSelection([.. found], [.. unknown]);
    }

    /// <summary>Null when the mask can be had on this machine, else what is wrong and what there is.</summary>
    /// <param name="setting">Where the mask is written, for example <c>serving.provisioner.gpu_mask</c>.</param>
    /// <param name="mask">The mask.</param>
    /// <param name="gpus">What the machine has.</param>
    public static string? Trouble(string setting, ImmutableArray<string> mask, GpuSnapshot gpus)
    {
        var selection = Select(mask, gpus.Devices);
        if (selection.Unknown.IsEmpty)
        {
            return null;
        }

        if (selection.Unknown.Contains(None, StringComparer.OrdinalIgnoreCase))
        {
            return $"{setting} = {string.Join(',', mask)}: none means the CPU and stands alone";
        }

        return $"{setting} = {string.Join(',', mask)}: no GPU {string.Join(", ", selection.Unknown)} on this machine; devices present: {gpus.DevicesInWords}"
            + (gpus.Devices.IsEmpty && gpus.Trouble is { } trouble ? $" ({trouble})" : "");
    }

    private static GpuDevice? Find(string entry, ImmutableArray<GpuDevice> devices)
    {
        if (int.TryParse(entry, NumberStyles.None, CultureInfo.InvariantCulture, out var index))
        {
            return devices.FirstOrDefault(d => d.DeviceId == index);
        }

        if (!entry.StartsWith("GPU-", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var same = devices.Where(d => d.Uuid.StartsWith(entry, StringComparison.OrdinalIgnoreCase)).Take(2).ToList();
        return same.Count == 1 ? same[0] : null;
    }
}
