using System.Globalization;
using System.Net;

namespace Loom.Cli.Verbs;

/// <summary>What to type when a port is taken: a value of the form that the setting really takes.</summary>
internal static class PortRemedy
{
    /// <summary>The command line that asks for the next port, or for any free one after the last.</summary>
    /// <param name="setting">Key of the address or port.</param>
    /// <param name="taken">What was asked for.</param>
    public static string For(string setting, IPEndPoint taken)
    {
        var port = taken.Port < IPEndPoint.MaxPort ? taken.Port + 1 : 0;
        var value = setting.EndsWith("_port", StringComparison.Ordinal) ? port.ToString(CultureInfo.InvariantCulture) : new IPEndPoint(taken.Address, port).ToString();
        return $"loom up --set {setting}={value}";
    }
}
