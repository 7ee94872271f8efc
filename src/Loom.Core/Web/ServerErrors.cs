using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using Loom.Wire;
using Microsoft.AspNetCore.Connections;

namespace Loom.Core.Web;

/// <summary>
/// Gives a body in our own shape to the answers the web server makes by itself, which are empty: too many headers, headers too slow, not HTTP.
/// It stands between server and connection and looks only at what is written while no request runs.
/// </summary>
public sealed class ServerErrors : PipeWriter, IDuplexPipe
{
    private readonly PipeWriter _output;
    private readonly ArrayBufferWriter<byte> _aside = new(256);

    private ServerErrors(IDuplexPipe transport)
    {
        Input = transport.Input;
        _output = transport.Output;
    }

    /// <summary>Set while a request is with the application; its answer passes untouched.</summary>
    public bool RequestRuns { get; set; }

    public PipeReader Input { get; }

    public PipeWriter Output => this;

    public override bool CanGetUnflushedBytes => _output.CanGetUnflushedBytes;

    public override long UnflushedBytes => _output.UnflushedBytes + _aside.WrittenCount;

    /// <summary>Puts itself into a new connection; the application finds it among the connection's features.</summary>
    public static void Attach(ConnectionContext connection)
    {
        var errors = new ServerErrors(connection.Transport);
        connection.Transport = errors;
        connection.Features.Set(errors);
    }

    public override void Advance(int bytes)
    {
        if (RequestRuns)
        {
            _output.Advance(bytes);
        }
        else
        {
            _aside.Advance(bytes);
        }
    }

    public override Memory<byte> GetMemory(int sizeHint = 0) => RequestRuns ? _output.GetMemory(sizeHint) : _aside.GetMemory(sizeHint);

    public override Span<byte> GetSpan(int sizeHint = 0) => RequestRuns ? _output.GetSpan(sizeHint) : _aside.GetSpan(sizeHint);

    public override void CancelPendingFlush() => _output.CancelPendingFlush();

    public override void Complete(Exception? exception = null)
    {
        Release();
        _output.Complete(exception);
    }

    public override ValueTask CompleteAsync(Exception? exception = null)
    {
        Release();
        return _output.CompleteAsync(exception);
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        Release();
        return _output.FlushAsync(cancellationToken);
    }

    private void Release()
    {
        if (_aside.WrittenCount > 0)
        {
            _output.Write(WithBody(_aside.WrittenSpan));
            _aside.ResetWrittenCount();
        }
    }

    /// <summary>The server's answer with a body, or as it is when it is not an empty refusal.</summary>
    internal static byte[] WithBody(ReadOnlySpan<byte> answer)
    {
        var head = Encoding.ASCII.GetString(answer);
        const string Empty = "Content-Length: 0\r\n";
        if (!head.StartsWith("HTTP/1.1 4", StringComparison.Ordinal) || !head.Contains(Empty, StringComparison.Ordinal))
        {
            return answer.ToArray();
        }

        var problem = ProblemOf(int.Parse(head.AsSpan(9, 3), CultureInfo.InvariantCulture));
        var id = RequestIds.New();
        var body = ErrorWriter.Body(problem, id, openAi: true).WrittenSpan;
        var lines = string.Create(CultureInfo.InvariantCulture, $"Content-Length: {body.Length}\r\nContent-Type: application/json\r\nx-request-id: {id}\r\n");
        return [.. Encoding.ASCII.GetBytes(head.Replace(Empty, lines, StringComparison.Ordinal)), .. body];
    }

    private static Problem ProblemOf(int status) => status switch
    {
        408 => new Problem(ProblemCode.RequestTimeout, "the request's headers did not arrive within 30 s"),
        431 => new Problem(ProblemCode.InvalidParams, "the request's headers are larger than 32 KiB", Status: status),
        414 => new Problem(ProblemCode.InvalidParams, "the request line is longer than 32 KiB", Status: status),
        _ => new Problem(ProblemCode.InvalidParams, "this is not a valid HTTP/1.1 request", Status: status),
    };
}
