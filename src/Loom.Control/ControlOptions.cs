using Loom.Control.Admission;
using Loom.Control.Api;
using Loom.Control.Gateway;

namespace Loom.Control;

/// <summary>Settings of the control plane, by feature folder.</summary>
public sealed record ControlOptions
{
    /// <summary>Listener and tokens.</summary>
    public ApiOptions Api { get; init; } = new();

    /// <summary>Queue and placement.</summary>
    public AdmissionOptions Admission { get; init; } = new();

    /// <summary>The request path.</summary>
    public GatewayOptions Gateway { get; init; } = new();
}
