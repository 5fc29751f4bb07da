using System.Numerics;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Storage;

/// <summary>What is durable about one database beside its pages.</summary>
internal sealed record DatabaseMeta
{
    /// <summary>Log index of the entry that created the database.</summary>
    internal required long DatabaseId { get; init; }

    /// <summary>Its name.</summary>
    internal required string Name { get; init; }

    /// <summary>Page size in bytes.</summary>
    internal required int PageSize { get; init; }

    /// <summary>0 none, 1 full, 2 incremental.</summary>
    internal byte AutoVacuum { get; init; }

    /// <summary>Whether connections may open it.</summary>
    internal bool IsPublished { get; init; }

    /// <summary>The checkpoint that was begun last: the file may hold pages up to here.</summary>
    internal LogIndex CheckpointTarget { get; init; }

    /// <summary>The checkpoint that was finished last: the file holds everything up to here.</summary>
    internal LogIndex CheckpointDone { get; init; }

    /// <summary>The last entry of this database that the file holds; above <see cref="CheckpointDone"/> when a snapshot brought it ahead of the log.</summary>
    internal LogIndex LastEntry { get; init; }

    /// <summary>Pages at <see cref="CheckpointDone"/>.</summary>
    internal uint PageCount { get; init; }

    /// <summary>Checksum of the database at <see cref="CheckpointDone"/>.</summary>
    internal ulong Checksum { get; init; }

    /// <summary>Size and identity of the file at <see cref="CheckpointDone"/>.</summary>
    internal FileState File { get; init; }
}

/// <summary>DATA/databases/NAME.meta (docs/formats/metadata.md). One thread at a time.</summary>
internal sealed class DatabaseMetaFile : IDisposable
{
    internal const string Extension = ".meta";

    /// <summary>Longest name, in bytes of UTF-8.</summary>
    internal const int MaxNameBytes = 255;

    private readonly TwoSlotFile _file;

    private DatabaseMetaFile(TwoSlotFile file, DatabaseMeta meta)
    {
        _file = file;
        Meta = meta;
    }

    private static ReadOnlySpan<byte> Magic => "DqNetDbM"u8;

    /// <summary>What is durable.</summary>
    internal DatabaseMeta Meta { get; private set; }

    /// <summary>Creates the file atomically.</summary>
    internal static DatabaseMetaFile Create(IFileSystem fileSystem, string path, DatabaseMeta meta) =>
        new(TwoSlotFile.Create(fileSystem, path, Magic, Encode(meta)), meta);

    /// <summary>Opens the file.</summary>
    /// <exception cref="StorageDamagedException">The newest record cannot be told.</exception>
    internal static DatabaseMetaFile Open(IFileSystem fileSystem, string path)
    {
        var file = TwoSlotFile.Open(fileSystem, path, Magic);
        try
        {
            return new DatabaseMetaFile(file, Decode(file.Payload));
        }
        catch (FormatException exception)
        {
            file.Dispose();
            throw new StorageDamagedException(path, exception.Message.TrimEnd('.'));
        }
    }

    /// <summary>Makes a new state durable.</summary>
    internal void Write(DatabaseMeta meta)
    {
#if MUTANTS
        if (Mutant.Is("R19") && meta.CheckpointTarget > meta.CheckpointDone)
        {
            Meta = meta;
            return;
        }
#endif
        _file.Write(Encode(meta));
        Meta = meta;
    }

    private static byte[] Encode(DatabaseMeta meta)
    {
        if (System.Text.Encoding.UTF8.GetByteCount(meta.Name) > MaxNameBytes)
        {
            throw new ArgumentException($"The database name '{meta.Name}' has more than {MaxNameBytes} bytes.", nameof(meta));
        }

        return new ByteWriter()
            .Int64(meta.DatabaseId)
            .UInt32((uint)meta.PageSize)
            .Byte(meta.AutoVacuum)
            .Byte(meta.IsPublished ? (byte)1 : (byte)0)
            .Int64(meta.CheckpointTarget.Value)
            .Int64(meta.CheckpointDone.Value)
            .Int64(meta.LastEntry.Value)
            .UInt32(meta.PageCount)
            .UInt64(meta.Checksum)
            .Int64(meta.File.SizeBytes)
            .UInt64(meta.File.Inode)
            .Int64(meta.File.MtimeNs)
            .Text(meta.Name)
            .ToArray();
    }

    private static DatabaseMeta Decode(ReadOnlySpan<byte> payload)
    {
        var reader = new ByteReader(payload);
        var meta = new DatabaseMeta
        {
            DatabaseId = reader.Int64(),
            PageSize = (int)reader.UInt32(),
            AutoVacuum = reader.Byte(),
            IsPublished = reader.Byte() != 0,
            CheckpointTarget = new LogIndex(reader.Int64()),
            CheckpointDone = new LogIndex(reader.Int64()),
            LastEntry = new LogIndex(reader.Int64()),
            PageCount = reader.UInt32(),
            Checksum = reader.UInt64(),
            File = new FileState(reader.Int64(), reader.UInt64(), reader.Int64()),
            Name = reader.Text(),
        };
        return meta.PageSize is >= 512 and <= 65536 && BitOperations.IsPow2(meta.PageSize) && meta.PageCount > 0
            ? meta
            : throw new FormatException($"It states {meta.PageCount} pages of {meta.PageSize} bytes, which is impossible.");
    }

    public void Dispose() => _file.Dispose();
}
