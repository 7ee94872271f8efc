using System.Net;
using System.Text.Json;
using Loom.Components;
using Loom.Core.Storage;
using Loom.Harness.Errors;
using Microsoft.Data.Sqlite;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Errors;

public sealed class ErrorVerdictTests
{
    public static TheoryData<Exception, string, ErrorClass> Cases => new()
    {
        { new ItemException("unrouted", "m"), "unrouted", ErrorClass.Permanent },
        { new ItemException("quota", "m", ErrorClass.Configuration), "quota", ErrorClass.Configuration },
        { new AggregateException(new TimeoutException()), "timeout", ErrorClass.Transient },
        { new TaskCanceledException(), "timeout", ErrorClass.Transient },
        { new IOException("pipe"), "io_error", ErrorClass.Transient },
        { new DiskFullException("full"), "disk_full", ErrorClass.Transient },
        { new HttpRequestException("no route"), "http_unreachable", ErrorClass.Transient },
        { new HttpRequestException("m", null, HttpStatusCode.Unauthorized), "http_401", ErrorClass.Configuration },
        { new HttpRequestException("m", null, HttpStatusCode.Forbidden), "http_403", ErrorClass.Configuration },
        { new HttpRequestException("m", null, HttpStatusCode.NotFound), "http_404", ErrorClass.Configuration },
        { new HttpRequestException("m", null, HttpStatusCode.TooManyRequests), "http_429", ErrorClass.Transient },
        { new HttpRequestException("m", null, HttpStatusCode.BadGateway), "http_502", ErrorClass.Transient },
        { new HttpRequestException("m", null, HttpStatusCode.UnprocessableEntity), "http_422", ErrorClass.Permanent },
        { new SqliteException("no such table: t", 1), "database_schema", ErrorClass.Configuration },
        { new SqliteException("busy", 5), "database_busy", ErrorClass.Transient },
        { new SqliteException("unique", 19), "constraint", ErrorClass.Permanent },
        { new JsonException("bad"), "bad_json", ErrorClass.Permanent },
        { new InvalidOperationException("m"), "invalid_operation", ErrorClass.Permanent },
        { new KeyNotFoundException("m"), "key_not_found", ErrorClass.Permanent },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Of_Exception_HasItsCodeAndClass(Exception error, string code, ErrorClass errorClass) => ErrorVerdict.Of(error).ShouldBe(new ErrorVerdict(code, errorClass));
}
