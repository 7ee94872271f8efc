using System.Collections.Immutable;
using Microsoft.AspNetCore.Http;

namespace Loom.Core.Web;

/// <summary>One route.</summary>
/// <param name="Method">Method; GET also answers HEAD.</param>
/// <param name="Template">Path such as <c>/v2/nodes/{id}/drain</c>; a last part <c>{*id}</c> takes the rest of the path, slashes included.</param>
/// <param name="Scope">What the caller must be allowed; <see cref="Scopes.None"/> = anyone.</param>
/// <param name="Run">Answers; may throw <see cref="ProblemException"/>.</param>
public sealed record ApiRoute(string Method, string Template, Scopes Scope, Func<ApiCall, Task> Run);

/// <summary>Finds routes by method and path. Immutable.</summary>
public sealed class RouteTable
{
    private readonly ImmutableArray<Row> _rows;

    /// <summary>Makes a table. A path that fits several templates goes to the one with the most literal parts.</summary>
    public RouteTable(IEnumerable<ApiRoute> routes)
    {
        _rows =
        [
            .. routes.Select(r => new Row(r, Split(r.Template))).OrderByDescending(r => r.Parts.Count(p => !p.StartsWith('{'))),
        ];
    }

    /// <summary>Finds the route of a request.</summary>
    /// <param name="method">Its method.</param>
    /// <param name="path">Its path.</param>
    /// <returns>The match; one without a route when the path is known for other methods only; null when there is nothing at the path.</returns>
    public RouteMatch? Find(string method, string path)
    {
        var parts = Split(path);
        List<ApiRoute>? others = null;
        foreach (var row in _rows)
        {
            if (!Fits(row.Parts, parts))
            {
                continue;
            }

            if (row.Route.Method == method || (HttpMethods.IsHead(method) && HttpMethods.IsGet(row.Route.Method)))
            {
                return new RouteMatch(row.Route, row.Parts, parts, []);
            }

            (others ??= []).Add(row.Route);
        }

        return others is null ? null : new RouteMatch(null, [], [], [.. others]);
    }

    private static string[] Split(string path) => path.TrimStart('/').Split('/');

    private static bool Fits(string[] template, string[] path)
    {
        if (template[^1].StartsWith("{*", StringComparison.Ordinal) ? path.Length < template.Length : path.Length != template.Length)
        {
            return false;
        }

        for (var i = 0; i < template.Length; i++)
        {
            if (!template[i].StartsWith('{') && !string.Equals(template[i], path[i], StringComparison.Ordinal))
            {
                return false;
            }
        }

        return true;
    }

    private sealed record Row(ApiRoute Route, string[] Parts);
}

/// <summary>A path that fits a template.</summary>
public sealed class RouteMatch
{
    // The web server leaves this one escape in a path.
    internal const string EscapedSlash = "%2F";

    private readonly string[] _template;
    private readonly string[] _path;
    private readonly ImmutableArray<ApiRoute> _others;

    internal RouteMatch(ApiRoute? route, string[] template, string[] path, ImmutableArray<ApiRoute> others)
    {
        Route = route;
        _template = template;
        _path = path;
        _others = others;
    }

    /// <summary>The route; null when the method does not fit.</summary>
    public ApiRoute? Route { get; }

    /// <summary>What a caller must be allowed to learn which methods there are.</summary>
    public Scopes Scope => Route?.Scope ?? _others[0].Scope;

    /// <summary>Methods of the path, for <c>Allow</c>.</summary>
    public string Allowed => string.Join(", ", _others.SelectMany(r => HttpMethods.IsGet(r.Method) ? new[] { r.Method, "HEAD" } : [r.Method]).Distinct(StringComparer.Ordinal));

    internal string Value(string name)
    {
        var at = Array.FindIndex(_template, p => p == $"{{{name}}}" || p == $"{{*{name}}}");
        return at < 0 ? "" : _template[at].StartsWith("{*", StringComparison.Ordinal) ? string.Join('/', _path[at..]).Replace(EscapedSlash, "/", StringComparison.OrdinalIgnoreCase) : _path[at];
    }
}
