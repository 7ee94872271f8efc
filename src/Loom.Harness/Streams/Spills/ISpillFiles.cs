namespace Loom.Harness.Streams.Spills;

/// <summary>Where the frames of one stream lie.</summary>
internal interface ISpillFiles
{
    /// <summary>Writes a whole frame.</summary>
    /// <exception cref="IOException">There is no room, or the disk refuses; what lies at the place counts as nothing.</exception>
    void Write(int file, long offset, ReadOnlySpan<byte> frame);

    /// <summary>Reads as much of a frame as there is and says how many bytes.</summary>
    /// <exception cref="IOException">The disk refuses.</exception>
    int Read(int file, long offset, Span<byte> frame);

    /// <summary>Removes a file that nobody needs any more.</summary>
    void Remove(int file);

    /// <summary>Keeps the bytes of a damaged frame for a person, beside those kept before; says where, or null where not even that was possible.</summary>
    string? SetAside(int number, ReadOnlySpan<byte> frame);
}
