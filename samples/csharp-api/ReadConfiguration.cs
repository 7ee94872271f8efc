using Loom.Runtime;

namespace Loom.Samples;

/// <summary>Reads a project's configuration, or says everything that is wrong with it.</summary>
internal static class ReadConfiguration
{
    public static int Run(string project)
    {
        try
        {
            var config = ProjectConfig.Load(project);
            Console.WriteLine($"Bridge: {config.Bridge.Address}");
            Console.WriteLine($"LLM: {config.Llm["deepseek"].BaseUrl}");
            Console.WriteLine($"MCP: {config.McpServers["brave"].Command}");
            Console.WriteLine($"Dashboard: {config.Dashboard.Enabled}");
            return 0;
        }
        catch (ConfigException e)
        {
            foreach (var error in e.Errors)
            {
                Console.Error.WriteLine(error);
            }

            return e.ExitCode;
        }
    }
}
