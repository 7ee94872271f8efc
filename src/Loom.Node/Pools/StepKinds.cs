namespace Loom.Node.Pools;

/// <summary>Kinds of steps, as <see cref="Loom.Wire.OperationStep.Kind"/> names them.</summary>
internal static class StepKinds
{
    public const string Warmup = "pool_warmup";
    public const string Drain = "drain";
    public const string Purge = "purge";
}
