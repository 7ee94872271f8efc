namespace Loom.Node.Provisioning;

/// <summary>Exit codes of provisioning, as <c>loom engine-provisioner</c> and <c>loom model</c> return them.</summary>
public enum ProvisionExit
{
    Done = 0,
    Configuration = 2,
    NotFound = 3,
    Checksum = 4,
    Download = 5,
    DiskFull = 6,
    BadModel = 7,
    GpuMask = 8,
    DoesNotFit = 9,
    NotHealthy = 10,
}

/// <summary>Engine or model cannot be had. The message is written for an operator: what was asked, what was found, what to do.</summary>
public sealed class ProvisionException(ProvisionExit exit, string message, Exception? cause = null) : Exception(message, cause)
{
    public ProvisionExit Exit { get; } = exit;

    /// <summary>Whether trying again later may help: the network, the disk and free memory change by themselves, the rest does not.</summary>
    public bool Transient => Exit is ProvisionExit.Download or ProvisionExit.DiskFull or ProvisionExit.DoesNotFit;
}
