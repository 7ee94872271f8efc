namespace Loom.Harness.Architecture.Checks;

/// <summary>The codes of everything that can be wrong in a system's files. Each has an entry with a failing and a mended example in docs/reference/harness-codes.md.</summary>
internal static class Codes
{
    // LH1xx: the text of the files.
    public const string File = "LH101";
    public const string Syntax = "LH102";
    public const string Tab = "LH103";
    public const string DuplicateKey = "LH104";
    public const string UnknownKey = "LH105";
    public const string WrongType = "LH106";
    public const string MissingKey = "LH107";
    public const string Refused = "LH108";
    public const string Reference = "LH109";
    public const string Longhand = "LH110";
    public const string StreamName = "LH111";
    public const string ShortVersion = "LH112";
    public const string BadVersion = "LH113";
    public const string BadName = "LH114";
    public const string BadValue = "LH115";
    public const string NotText = "LH116";
    public const string ReferencePlace = "LH117";

    // LH2xx: the graph.
    public const string UnknownComponent = "LH201";
    public const string UnknownBuiltIn = "LH202";
    public const string BadEndpoint = "LH203";
    public const string UnknownPort = "LH204";
    public const string Direction = "LH205";
    public const string PortClass = "LH206";
    public const string Unbound = "LH207";
    public const string UnknownSchema = "LH208";
    public const string SchemaVersion = "LH209";
    public const string DuplicateComponent = "LH210";
    public const string Cycle = "LH211";
    public const string Feedback = "LH212";
    public const string Delivery = "LH213";
    public const string OutputUnbound = "LH214";
    public const string TypeMismatch = "LH215";
    public const string MixedBroadcast = "LH216";
    public const string Overflow = "LH217";
    public const string FanOut = "LH218";
    public const string PortContradicted = "LH219";
    public const string NoConversion = "LH220";
    public const string DuplicateBinding = "LH221";
    public const string ModeConflict = "LH222";
    public const string FlowType = "LH223";
    public const string TypeRule = "LH224";
    public const string Interval = "LH225";
    public const string SecretKey = "LH226";

    // LH3xx: classes and commands.
    public const string ClassNotFound = "LH301";
    public const string NotAComponent = "LH302";
    public const string PortType = "LH303";
    public const string Build = "LH304";
    public const string Command = "LH305";
    public const string Service = "LH306";
    public const string HomeMissing = "LH307";
    public const string NoChain = "LH308";
    public const string CommandPorts = "LH309";
    public const string Isolation = "LH310";
    public const string ExecRefused = "LH311";

    // LH4xx: configuration of components and capabilities.
    public const string ConfigUnknownKey = "LH401";
    public const string ConfigMissing = "LH402";
    public const string ConfigType = "LH403";
    public const string ConfigRange = "LH404";
    public const string ConfigRule = "LH405";
    public const string Expression = "LH406";
    public const string Template = "LH407";
    public const string Schema = "LH408";
    public const string UnknownCapability = "LH409";
    public const string KernelOff = "LH410";
    public const string Tier = "LH411";
    public const string CapabilityTwice = "LH412";

    // LH5xx: the deployment.
    public const string Architectural = "LH501";
    public const string OverrideUnknown = "LH502";
    public const string DeploymentKernelOff = "LH503";
    public const string SecretMissing = "LH504";
    public const string Loosened = "LH505";
    public const string NewCapability = "LH506";
    public const string Replicas = "LH507";
    public const string OverridePorts = "LH508";

    // LH6xx: the lock.
    public const string NoLock = "LH601";
    public const string BadLock = "LH602";
    public const string InputChanged = "LH603";
    public const string ChainChanged = "LH604";
    public const string ComponentChanged = "LH605";
    public const string GraphChanged = "LH606";
    public const string LockHash = "LH607";

    // LH7xx: state. LH8xx: transport.
    public const string StateAdapter = "LH701";
    public const string Transport = "LH801";

    // LH9xx: tests of a system.
    public const string TestCases = "LH901";
    public const string TestComponent = "LH902";
    public const string TestPort = "LH903";
    public const string TestValue = "LH904";
    public const string TestData = "LH905";
    public const string TestMetric = "LH906";

    /// <summary>What to do about a finding that does not say so itself.</summary>
    public static string RemedyOf(string code) => code switch
    {
        MissingKey or ConfigMissing => "add it",
        Expression or Template => "docs/expressions.md tells what can be written",
        Schema => "write it as JSON Schema has it",
        Feedback => "write max_in_flight: 100",
        ConfigRule => "make these keys agree",
        File => "put a readable file there",
        TestData => "put it there, or name another",
        _ => $"docs/reference/harness-codes.md shows {code} mended",
    };
}
