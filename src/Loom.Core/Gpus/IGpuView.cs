namespace Loom.Core.Gpus;

/// <summary>The GPUs as they are known now, for those who only look.</summary>
public interface IGpuView
{
    /// <summary>What was found last. Immutable.</summary>
    GpuSnapshot Current { get; }

    /// <summary>Calls <paramref name="listener"/> after each scan, never twice at once. Be short. Dispose to end.</summary>
    IDisposable Subscribe(Action<GpuSnapshot> listener);
}

/// <summary>GPUs that never change: those of a machine that is not watched, or of a test.</summary>
/// <param name="snapshot">What there is.</param>
public sealed class FixedGpus(GpuSnapshot snapshot) : IGpuView
{
    /// <summary>A machine without.</summary>
    public static FixedGpus None { get; } = new(GpuSnapshot.None);

    public GpuSnapshot Current => snapshot;

    public IDisposable Subscribe(Action<GpuSnapshot> listener) => new Nothing();

    private sealed class Nothing : IDisposable
    {
        public void Dispose()
        {
        }
    }
}
