using System.Text.Json;
using Loom.Core.Web;
using Loom.Wire;

namespace Loom.Harness.Api;

/// <summary>The routes of the systems that run in this process: each goes to the API of the system its path names. All need a token.</summary>
/// <param name="systems">The systems as of now, by name.</param>
internal sealed class HarnessRoutes(Func<IReadOnlyDictionary<string, HarnessApi>> systems)
{
    private const string Base = "/v2/harness/systems";

    public IEnumerable<ApiRoute> Routes =>
    [
        new("GET", Base, Scopes.Manage, call => call.WriteAsync(200, systems(), WriteSystems)),
        .. HarnessApi.Actions.Select(a => new ApiRoute(a.Method, $"{Base}/{{system}}{a.Path}", Scopes.Manage, call => Of(call).RunAsync(a, call))),
    ];

    private HarnessApi Of(ApiCall call)
    {
        var name = call["system"];
        return systems().GetValueOrDefault(name)
            ?? throw new ProblemException(new Problem(ProblemCode.NotFound, systems().Count == 0
                ? $"no system \"{name}\" runs here"
                : $"no system \"{name}\" runs here; there are: {string.Join(", ", systems().Keys)}"));
    }

    private static void WriteSystems(Utf8JsonWriter w, IReadOnlyDictionary<string, HarnessApi> systems)
    {
        w.WriteStartObject();
        SystemJson.List(w, "systems", systems.Values, static (writer, api) => api.WriteHealth(writer));
        w.WriteEndObject();
    }
}
