namespace Loom.Harness.Execution;

/// <summary>What one instance of a component registered at its setup. Disposed once, the last one first; what is registered after that is disposed at once.</summary>
internal sealed class OwnedResources
{
    private readonly Lock _lock = new();
    private Stack<object>? _resources = [];

    /// <summary>Registers one.</summary>
    /// <exception cref="ObjectDisposedException">Its setup has been given up; the resource has been disposed.</exception>
    public void Add(object resource)
    {
        lock (_lock)
        {
            if (_resources is { } open)
            {
                open.Push(resource);
                return;
            }
        }

        Dispose(resource);
        throw new ObjectDisposedException(resource.GetType().Name, "the setup that registered it took too long and was given up");
    }

    // The thread is that of a setup nobody waits for any more, so it may wait for what can only be disposed asynchronously.
    private static void Dispose(object resource)
    {
        if (resource is IDisposable now)
        {
            now.Dispose();
        }
        else if (resource is IAsyncDisposable later)
        {
            later.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    /// <summary>Disposes all of them, whatever fails.</summary>
    /// <param name="onError">Told of each failure.</param>
    public async Task DisposeAsync(Action<Exception> onError)
    {
        Stack<object>? resources;
        lock (_lock)
        {
            (resources, _resources) = (_resources, null);
        }

        while (resources is not null && resources.TryPop(out var resource))
        {
            try
            {
                if (resource is IAsyncDisposable later)
                {
                    await later.DisposeAsync().ConfigureAwait(true);
                }
                else
                {
                    (resource as IDisposable)?.Dispose();
                }
            }
            catch (Exception e)
            {
                onError(e);
            }
        }
    }
}
