using Loom.Samples;

// The C# API by example: each file is one. Run them with: dotnet run --project samples/csharp-api -- NAME
return args switch
{
    ["orchestrate", var project, .. var scripts] => await OrchestrateProject.RunAsync(project, scripts).ConfigureAwait(false),
    ["watch", var project] => await WatchProject.RunAsync(project).ConfigureAwait(false),
    ["binary", var name, var version] => await CustomBinary.RunAsync(name, version).ConfigureAwait(false),
    ["config", var project] => ReadConfiguration.Run(project),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("csharp-api orchestrate PROJECT [SCRIPT..] | watch PROJECT | binary NAME VERSION | config PROJECT");
    return 2;
}
