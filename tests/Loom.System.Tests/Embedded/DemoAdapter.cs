using Loom.Node.Demo;
using Loom.Testing;
using Xunit;

namespace Loom.SystemTests.Embedded;

/// <summary>One adapter with the demo model and four slots, shared by the tests of a class.</summary>
public sealed class DemoAdapter : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private AdapterProcess? _process;

    internal AdapterProcess Process => _process!;

    public async ValueTask InitializeAsync()
    {
        DemoModelWriter.Write(_folder[DemoModel.FileName]);
        _process = await AdapterProcess.StartReadyAsync(_folder[DemoModel.FileName], "--slots", "4", "--ctx", "2048", "--threads", "1");
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
        }

        _folder.Dispose();
    }
}
