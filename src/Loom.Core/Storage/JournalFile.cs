namespace Loom.Core.Storage;

/// <summary>An open journal file. Used by one thread at a time.</summary>
internal interface IJournalFile : IDisposable
{
    /// <summary>Reads it from its first byte.</summary>
    Stream Read();

    /// <summary>Writes at a position.</summary>
    void Write(ReadOnlySpan<byte> bytes, long at);

    /// <summary>Returns once everything written would survive a power cut.</summary>
    void Flush();

    /// <summary>Cuts the file.</summary>
    void Cut(long length);
}

/// <summary>Where a journal and its successor lie.</summary>
internal interface IJournalDisk
{
    /// <summary>Opens the journal, creating it where it is missing.</summary>
    IJournalFile Open();

    /// <summary>Makes an empty file beside the journal.</summary>
    IJournalFile CreateNext();

    /// <summary>Puts that file, flushed, in the journal's place; a reader sees one or the other.</summary>
    void PublishNext();

    /// <summary>Removes that file.</summary>
    void DiscardNext();
}

/// <summary>A journal on a real disk.</summary>
internal sealed class JournalDisk(string path) : IJournalDisk
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _next = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, $".{Path.GetFileName(path)}.next");

    public IJournalFile Open()
    {
        var isNew = !File.Exists(path);
        var file = new JournalFile(path, FileMode.OpenOrCreate);
        if (isNew)
        {
            // Else a power cut could take the name away from what is in the file.
            DurableFile.FlushFolder(Path.GetDirectoryName(Path.GetFullPath(path))!);
        }

        return file;
    }

    public IJournalFile CreateNext() => new JournalFile(_next, FileMode.Create);

    public void PublishNext() => DurableFile.Publish(_next, path);

    public void DiscardNext() => File.Delete(_next);

    private sealed class JournalFile(string name, FileMode mode) : IJournalFile
    {
        private readonly FileStream _stream = new(name, new FileStreamOptions
        {
            Mode = mode,
            Access = FileAccess.ReadWrite,
            Share = FileShare.ReadWrite,
            UnixCreateMode = Private,
            BufferSize = 0,
        });

        public Stream Read() => new FileStream(name, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);

        public void Write(ReadOnlySpan<byte> bytes, long at) => RandomAccess.Write(_stream.SafeFileHandle, bytes, at);

        public void Flush() => RandomAccess.FlushToDisk(_stream.SafeFileHandle);

        public void Cut(long length) => RandomAccess.SetLength(_stream.SafeFileHandle, length);

        public void Dispose() => _stream.Dispose();
    }
}
