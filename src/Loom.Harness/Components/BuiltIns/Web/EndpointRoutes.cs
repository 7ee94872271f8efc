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
internal sealed class EndpointRoutes : IEndpointRoutes
{
    private readonly Lock _lock = new();
    private readonly List<ApiRoute> _added = [];
    private IReadOnlyList<ApiRoute> _own = [];
    private volatile RouteTable _table = new([]);

    /// <summary>All of them as of now.</summary>
    public RouteTable Table => _table;

    /// <summary>Sets the routes that are always there.</summary>
    /// <exception cref="InvalidOperationException">A component has the same method and path.</exception>
    public void Keep(IReadOnlyList<ApiRoute> own)
    {
        lock (_lock)
        {
            foreach (var route in _added)
            {
                Check(route, own);
            }

            _own = own;
            _table = new RouteTable(_own.Concat(_added));
        }
    }

    /// <inheritdoc />
    public IDisposable Add(ApiRoute route)
    {
        lock (_lock)
        {
            Check(route, _own.Concat(_added));
            _added.Add(route);
            _table = new RouteTable(_own.Concat(_added));
        }

        return new Entry(this, route);
    }

    private static void Check(ApiRoute route, IEnumerable<ApiRoute> others)
    {
        if (others.Any(r => r.Method == route.Method && Shape(r.Template) == Shape(route.Template)))
        {
            throw new InvalidOperationException($"the route {route.Method} {route.Template} is taken by another component or by the harness itself; choose another route");
        }
    }

    // Two templates that differ in the names of their parts alone mean the same paths.
    private static string Shape(string template) => string.Join('/', template.Split('/').Select(p => p.StartsWith("{*", StringComparison.Ordinal) ? "{*}" : p.StartsWith('{') ? "{}" : p));

    private void Remove(ApiRoute route)
    {
        lock (_lock)
        {
            if (_added.Remove(route))
            {
                _table = new RouteTable(_own.Concat(_added));
            }
        }
    }

    private sealed class Entry(EndpointRoutes routes, ApiRoute route) : IDisposable
    {
        public void Dispose() => routes.Remove(route);
    }
}
