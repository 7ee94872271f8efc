using System.Net;

namespace Loom.Core.Web;

/// <summary>A listener could not be opened.</summary>
/// <param name="endPoint">The address asked for.</param>
/// <param name="setting">Key of the setting it comes from.</param>
/// <param name="cause">What the system said.</param>
public sealed class PortTakenException(IPEndPoint endPoint, string setting, Exception cause)
    : Exception($"{endPoint} ({setting}) cannot be opened: {cause.GetBaseException().Message}", cause)
{
    /// <summary>The address asked for.</summary>
    public IPEndPoint EndPoint { get; } = endPoint;

    /// <summary>Key of the setting it comes from.</summary>
    public string Setting { get; } = setting;
}
