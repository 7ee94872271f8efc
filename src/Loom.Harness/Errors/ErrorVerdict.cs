using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Loom.Components;
using Loom.Core.Storage;
using Microsoft.Data.Sqlite;

namespace Loom.Harness.Errors;

/// <summary>What an exception means for its item: a code from a small set and a class. Pure.</summary>
/// <param name="Code">In snake case.</param>
/// <param name="Class">What follows for the next attempt.</param>
internal readonly record struct ErrorVerdict(string Code, ErrorClass Class)
{
    /// <summary>
    /// An <see cref="ItemException"/> speaks for itself. Time-outs, I/O, network and database contention may pass; HTTP 401, 403 and 404, a missing table and a
    /// database that may not be written wait for a person; everything else will fail again.
    /// </summary>
    public static ErrorVerdict Of(Exception error) => error switch
    {
        ItemException item => new(item.Code, item.Class),
        AggregateException { InnerExceptions: [var only] } => Of(only),
        System.Reflection.TargetInvocationException { InnerException: { } inner } => Of(inner),
        TypeInitializationException { InnerException: { } inner } => Of(inner),
        TimeoutException or OperationCanceledException => new("timeout", ErrorClass.Transient),
        HttpRequestException http => Http(http.StatusCode),
        DiskFullException => new("disk_full", ErrorClass.Transient),
        IOException io => new(DiskFullException.Is(io) ? "disk_full" : "io_error", ErrorClass.Transient),
        SocketException => new("network", ErrorClass.Transient),
        SqliteException sqlite => Sqlite(sqlite),
        JsonException => new("bad_json", ErrorClass.Permanent),
        _ => new(Snake(error.GetType().Name), ErrorClass.Permanent),
    };

    /// <summary>What an HTTP status means; null = there was no answer.</summary>
    public static ErrorVerdict Http(HttpStatusCode? status) => status is not { } code
        ? new("http_unreachable", ErrorClass.Transient)
        : new(
            $"http_{(int)code}",
            code switch
            {
                HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.NotFound => ErrorClass.Configuration,
                HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests => ErrorClass.Transient,
                >= HttpStatusCode.InternalServerError => ErrorClass.Transient,
                _ => ErrorClass.Permanent,
            });

    private static ErrorVerdict Sqlite(SqliteException error)
    {
        const int Error = 1, Permission = 3, Busy = 5, Locked = 6, ReadOnly = 8, InputOutput = 10, Full = 13, CannotOpen = 14, Constraint = 19;
        return error.SqliteErrorCode switch
        {
            Busy or Locked => new("database_busy", ErrorClass.Transient),
            InputOutput => new("io_error", ErrorClass.Transient),
            Full => new("disk_full", ErrorClass.Transient),
            Permission or ReadOnly or CannotOpen => new("database_unusable", ErrorClass.Configuration),
            Error when error.Message.Contains("no such", StringComparison.Ordinal) || error.Message.Contains("no column", StringComparison.Ordinal) =>
                new("database_schema", ErrorClass.Configuration),
            Constraint => new("constraint", ErrorClass.Permanent),
            _ => new("database_error", ErrorClass.Permanent),
        };
    }

    // InvalidOperationException -> invalid_operation
    private static string Snake(string type)
    {
        var name = type.AsSpan(0, Math.Max(0, type.IndexOf('`', StringComparison.Ordinal) is > 0 and var generic ? generic : type.Length));
        name = name.EndsWith("Exception", StringComparison.Ordinal) && name.Length > "Exception".Length ? name[..^"Exception".Length] : name;
        var snake = new StringBuilder(name.Length + 4);
        for (var i = 0; i < name.Length; i++)
        {
            if (char.IsUpper(name[i]) && i > 0 && (char.IsLower(name[i - 1]) || (i + 1 < name.Length && char.IsLower(name[i + 1]))))
            {
                snake.Append('_');
            }

            snake.Append(char.ToLowerInvariant(name[i]));
        }

        return snake.ToString();
    }
}
