namespace Loom.Core.Settings.Rules;

/// <summary>The folder in which the provisioner hands engines to the node agent: R5.</summary>
internal static class HandoffRules
{
    private const string Control = "serving.runtime_dir";
    private const string Agent = "serving.node.runtime_dir";
    private const string Provisioner = "serving.provisioner.handoff_dir";

    public static void OneFolder(Draft draft)
    {
        string[] keys = draft.Part switch
        {
            LoomPart.Up => [Control, Agent, Provisioner],
            LoomPart.PoolManagerd or LoomPart.EngineProvisioner => [Agent, Provisioner],
            _ => [],
        };
        string? first = null;
        foreach (var key in keys)
        {
            if (draft.IsAtFault(key) || draft.Value<string>(key) is not { } folder)
            {
                continue;
            }

            first ??= key;
            var expected = draft.Value<string>(first)!;
            if (!string.Equals(draft.Request.Files.RealPath(folder), draft.Request.Files.RealPath(expected), StringComparison.Ordinal))
            {
                draft.Report("R5", key, $"must be the folder of {first}, which is {draft.Told(first) ?? expected}", "set one of them alone; the others follow it");
            }
        }
    }

    public static void FolderOthersCanWrite(Draft draft)
    {
        var key = draft.RunsNodeAgent ? Agent : draft.Part == LoomPart.EngineProvisioner ? Provisioner : Control;
        if (!draft.IsAtFault(key) && draft.Value<string>(key) is { } folder && draft.Request.Files.Exists(folder) && draft.Request.Files.OthersCanWrite(folder))
        {
            draft.Report("R5", key, $"other users can write to {folder}, so they could start programs here", $"chmod o-w {folder}");
        }
    }

    public static void FolderOthersCanRead(Draft draft)
    {
        var key = draft.RunsNodeAgent ? Agent : draft.Part == LoomPart.EngineProvisioner ? Provisioner : Control;
        if (!draft.IsAtFault(key) && draft.Value<string>(key) is { } folder && draft.Request.Files.Exists(folder) && draft.Request.Files.OpenMode(folder) is { } mode)
        {
            draft.Report("R5", key, $"others can read {folder} (mode {mode}), and with it what is started here", $"chmod 700 {folder}", FaultSeverity.Warning);
        }
    }
}
