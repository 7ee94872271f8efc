using System.Globalization;
using System.Net;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Core.Web;
using Loom.Processes.Probes;

namespace Loom.Cli.Verbs;

/// <summary>What to type when a port is taken: a value of the form that the setting really takes.</summary>
internal static class PortRemedy
{
    /// <summary>What to tell of a port that could not be opened: which setting asked for it, and who has it where that can be known.</summary>
    /// <param name="taken">What happened.</param>
    /// <param name="verb">The verb that asked.</param>
    public static CliError Error(PortTakenException taken, string verb)
    {
        var holder = PortHolder.Find(taken.EndPoint.Port);
        var message = holder is null ? taken.Message : $"port {taken.EndPoint.Port} ({NamesOf(taken.Setting)}) is in use by {holder}";
        return new CliError(ExitCode.Usage, "PORT_TAKEN", message, $"end that program, or choose another address: {For(taken.Setting, taken.EndPoint, verb)}");
    }

    /// <summary>The command line that asks for the next port, or for any free one after the last.</summary>
    /// <param name="setting">Key of the address or port.</param>
    /// <param name="taken">What was asked for.</param>
    /// <param name="verb">The verb that asked.</param>
    public static string For(string setting, IPEndPoint taken, string verb = "up")
    {
        var port = taken.Port < IPEndPoint.MaxPort ? taken.Port + 1 : 0;
        var value = setting.EndsWith("_port", StringComparison.Ordinal) ? port.ToString(CultureInfo.InvariantCulture) : new IPEndPoint(taken.Address, port).ToString();
        return $"loom {verb} --set {setting}={value}";
    }

    private static string NamesOf(string key) =>
        LoomRegistry.Instance.Find(key.Split('.')) is { Variables: [var variable, ..] } ? $"{key}, {variable}" : key;
}
