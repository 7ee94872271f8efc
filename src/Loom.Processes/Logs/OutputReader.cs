using System.Runtime.InteropServices;
using Loom.Processes.Native;
using Loom.Processes.Watching;

namespace Loom.Processes.Logs;

/// <summary>Reads one pipe of one incarnation: redacts, cuts into lines, hands them to the log. A pipe is always drained, whatever becomes of the log.</summary>
internal sealed unsafe class OutputReader : IReadable
{
    private const int ReadsAtOnce = 4; // then the next descriptor has its turn

    private readonly ChildLog _log;
    private readonly bool _isError;
    private readonly Redactor _redactor;
    private readonly LineSplitter _lines;

    internal OutputReader(ChildLog log, bool isError)
    {
        _log = log;
        _isError = isError;
        _redactor = new Redactor(log.Options.Secrets);
        _lines = new LineSplitter(line => _log.Add(line, _isError));
    }

    public bool OnReadable(int descriptor, Span<byte> buffer) => Read(descriptor, buffer, ReadsAtOnce);

    /// <summary>Reads what is there now, at most <paramref name="most"/> buffers.</summary>
    /// <returns>False at the end of the stream.</returns>
    internal bool Read(int descriptor, Span<byte> buffer, int most)
    {
        var open = true;
        for (var i = 0; i < most; i++)
        {
            nint count;
            fixed (byte* p = buffer)
            {
                count = Libc.Read(descriptor, p, (nuint)buffer.Length);
            }

            if (count > 0)
            {
                _redactor.Pass(buffer[..(int)count], _lines, final: false);
                continue;
            }

            open = count < 0 && Marshal.GetLastPInvokeError() is Linux.Again or Linux.Interrupted;
            break;
        }

        _log.Flush(_isError);
        return open;
    }

    public void OnClosed()
    {
        _redactor.Pass([], _lines, final: true);
        _lines.Finish();
        _log.Flush(_isError);
    }
}
