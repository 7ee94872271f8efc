using Loom.Core.Web;

namespace Loom.Harness.Components.BuiltIns.Web;

/// <summary>Where <c>http_in</c> puts its routes, and the web server of the harness finds them.</summary>
internal interface IEndpointRoutes
{
    /// <summary>Adds a route until the result is disposed.</summary>
    /// <exception cref="InvalidOperationException">Somebody has the same method and path.</exception>
    IDisposable Add(ApiRoute route);
}

/// <summary>The routes of a web server that serves a system: its own, and those of the components, which come and go.</summary>
/// <param name="own">Routes that are always there.</param>
internal sealed class EndpointRoutes(IReadOnlyList<ApiRoute> own) : IEndpointRoutes
{
    private readonly Lock _lock = new();
    private readonly List<ApiRoute> _added = [];
    private volatile RouteTable _table = new(own);

    /// <summary>All of them as of now.</summary>
    public RouteTable Table => _table;

    /// <inheritdoc />
    public IDisposable Add(ApiRoute route)
    {
        lock (_lock)
        {
            if (own.Concat(_added).Any(r => r.Method == route.Method && Shape(r.Template) == Shape(route.Template)))
            {
                throw new InvalidOperationException($"the route {route.Method} {route.Template} is taken by another component or by the harness itself; choose another route");
            }

            _added.Add(route);
            _table = new RouteTable(own.Concat(_added));
        }

        return new Entry(this, route);
    }

    // Two templates that differ in the names of their parts alone mean the same paths.
    private static string Shape(string template) => string.Join('/', template.Split('/').Select(p => p.StartsWith("{*", StringComparison.Ordinal) ? "{*}" : p.StartsWith('{') ? "{}" : p));

    private void Remove(ApiRoute route)
    {
        lock (_lock)
        {
            if (_added.Remove(route))
            {
                _table = new RouteTable(own.Concat(_added));
            }
        }
    }

    private sealed class Entry(EndpointRoutes routes, ApiRoute route) : IDisposable
    {
        public void Dispose() => routes.Remove(route);
    }
}
