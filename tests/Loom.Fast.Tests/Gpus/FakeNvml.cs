using Loom.Core.Gpus;

namespace Loom.Fast.Tests.Gpus;

/// <summary>A driver's library with devices that can be taken away.</summary>
internal sealed class FakeNvml : INvml
{
    private Card[] _counted = [];

    public List<Card> Cards { get; } = [];

    public int InitCode { get; set; }

    public int Inits { get; private set; }

    public int Shutdowns { get; private set; }

    public int Init()
    {
        Inits++;
        _counted = [.. Cards];
        return InitCode;
    }

    public int Shutdown()
    {
        Shutdowns++;
        return 0;
    }

    public int DeviceCount(out int count)
    {
        count = _counted.Length; // as the real one: counted at the start, not anew
        return 0;
    }

    public int DeviceByIndex(int index, out nint device)
    {
        device = index;
        return Cards.Contains(_counted[index]) ? 0 : NvmlCode.GpuIsLost;
    }

    public int PciBusId(nint device, out string busId) => Give(_counted[device].Bus, out busId);

    public int Uuid(nint device, out string uuid) => Give(_counted[device].Uuid, out uuid);

    public int Name(nint device, out string name) => Give(_counted[device].Name, out name);

    public int Memory(nint device, out long totalBytes, out long freeBytes)
    {
        (totalBytes, freeBytes) = (_counted[device].Total ?? 0, _counted[device].Free ?? 0);
        return _counted[device].Total is null ? 3 : 0;
    }

    public int Utilization(nint device, out int percent)
    {
        percent = _counted[device].Busy ?? 0;
        return _counted[device].Busy is null ? 3 : 0;
    }

    public int Temperature(nint device, out int celsius)
    {
        celsius = 50;
        return 0;
    }

    public int ComputeCapability(nint device, out int major, out int minor)
    {
        (major, minor) = (9, 0);
        return 0;
    }

    public int Processes(nint device, out int[] pids)
    {
        pids = _counted[device].Pids ?? [];
        return _counted[device].Pids is null ? NvmlCode.FunctionNotFound : 0;
    }

    public string ErrorText(int code) => $"words for {code}";

    private static int Give(string value, out string text)
    {
        text = value;
        return 0;
    }

    internal sealed record Card(string Bus, string Uuid)
    {
        public string Name { get; init; } = "H200";

        public long? Total { get; init; } = 1000;

        public long? Free { get; init; } = 600;

        public int? Busy { get; init; } = 25;

        public int[]? Pids { get; init; } = [];
    }
}
