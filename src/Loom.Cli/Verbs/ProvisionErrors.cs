using Loom.Cli.Terminal;
using Loom.Node.Provisioning;

namespace Loom.Cli.Verbs;

/// <summary>What provisioning cannot do, as a failure of a command. The exit codes are those of <see cref="ProvisionExit"/>, not of <see cref="ExitCode"/>.</summary>
internal static class ProvisionErrors
{
    public static CliError Of(ProvisionException e) => new((int)e.Exit, CodeOf(e.Exit), e.Message);

    private static string CodeOf(ProvisionExit exit) => exit switch
    {
        ProvisionExit.NotFound => "NOT_FOUND",
        ProvisionExit.Checksum => "CHECKSUM",
        ProvisionExit.Download => "DOWNLOAD",
        ProvisionExit.DiskFull => "DISK_FULL",
        ProvisionExit.BadModel => "BAD_MODEL",
        ProvisionExit.GpuMask => "GPU_MASK",
        ProvisionExit.DoesNotFit => "DOES_NOT_FIT",
        ProvisionExit.NotHealthy => "NOT_HEALTHY",
        _ => "CONFIGURATION",
    };
}

/// <summary>Progress as lines of JSON, one for each change.</summary>
internal sealed class ProgressLines(TextWriter output) : IProgress<ProvisionProgress>
{
    private readonly Lock _gate = new();

    public void Report(ProvisionProgress value)
    {
        lock (_gate)
        {
            output.WriteLine(value.ToJson());
            output.Flush();
        }
    }
}
