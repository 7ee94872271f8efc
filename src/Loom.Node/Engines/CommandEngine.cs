namespace Loom.Node.Engines;

/// <summary>Any program that serves the OpenAI routes: the user's command line with the blanks filled in.</summary>
public sealed class CommandEngine : IEngineKind
{
    public EngineLaunch Launch(LaunchRequest request) =>
        new([.. LaunchPlaceholders.Fill(request.Pool.Engine.Command, request), .. LaunchPlaceholders.Fill(request.Pool.Engine.Args, request)]);
}
