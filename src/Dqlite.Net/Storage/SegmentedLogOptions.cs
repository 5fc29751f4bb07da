namespace Dqlite.Net.Storage;

/// <summary>Settings of a <see cref="SegmentedLog"/>.</summary>
internal sealed record SegmentedLogOptions
{
    /// <summary>Size of a segment file; one that must hold a larger entry is larger.</summary>
    internal long SegmentSizeBytes { get; init; } = 16 << 20;

    /// <summary>Dropped segments that are kept to be used again; a recycled one saves the writing of zeros.</summary>
    internal int MaxSpareSegments { get; init; } = 2;

    /// <summary>Largest payload that is accepted, and believed when a file says so.</summary>
    internal int MaxEntryBytes { get; init; } = 512 << 20;

    /// <summary>Whether a log without any segment is damage. A node sets it when its metadata file exists: the log is created first.</summary>
    internal bool MustExist { get; init; }

    /// <summary>Where salts come from; a simulator gives its own.</summary>
    internal Func<ulong> NextSalt { get; init; } = SystemRandom.NextSalt;
}
