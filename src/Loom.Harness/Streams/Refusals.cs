using Loom.Harness.Errors;

namespace Loom.Harness.Streams;

/// <summary>
/// Events that a stream itself refused while its reader looked: too old, or damaged on disk. Reading cannot wait, so they stay here until the reader's loop, which is
/// told, hands them to its error destination; when there are many, the stream gives nothing until it has. For the reader's loop alone.
/// </summary>
/// <param name="tell">Asks the loop to look up.</param>
internal sealed class Refusals(Action tell)
{
    private const int Most = 64;

    private readonly Queue<ItemFailure> _waiting = [];

    public bool IsFull => _waiting.Count >= Most;

    public bool IsEmpty => _waiting.Count == 0;

    public void Add(ItemFailure failure)
    {
        _waiting.Enqueue(failure);
        tell();
    }

    /// <summary>Hands over what waits.</summary>
    public async ValueTask SendAsync(IErrorDestination errors, CancellationToken ct)
    {
        while (_waiting.TryPeek(out var failure))
        {
            await errors.TakeAsync(failure, ct).ConfigureAwait(true);
            _waiting.Dequeue();
        }
    }
}
