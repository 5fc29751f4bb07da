using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using Dqlite.Net.Storage;
using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>One database of a snapshot.</summary>
internal sealed record InstallDatabase(long Id, string Name, int PageSize, int AutoVacuum, bool IsPublished, long LastEntryIndex, uint PageCount, ulong Checksum)
{
    public DatabaseFiles FilesIn(string directory) => new(directory, Name);
}

/// <summary>
/// The state of a whole node: of everything up to one index, and of databases that may be further; what is behind the index follows as log. It travels at the head of a snapshot stream, and lies as DATA/install.manifest while its
/// files are put in place: once that file is durable the installation is finished, whatever happens (docs/formats/peer.md, "Snapshot stream").
/// </summary>
internal sealed record InstallManifest(LogIndex Index, Term Term, byte[] Configuration, LogIndex ConfigurationIndex, IReadOnlyList<TermStart> TermStarts, IReadOnlyList<InstallDatabase> Databases)
{
    private const int MaxDatabases = 100_000;
    private const int MaxTermStarts = 1_000_000;
    private const int HeaderSize = 16;
    private const int MaxAutoVacuum = 2;
    private static ReadOnlySpan<byte> Magic => "DQINST01"u8;

    public byte[] Encode()
    {
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(6);
        writer.Write(Index.Value);
        writer.Write(Term.Value);
        writer.Write(Configuration);
        writer.Write(ConfigurationIndex.Value);
        writer.WriteArrayHeader(TermStarts.Count);
        foreach (var start in TermStarts)
        {
            writer.WriteArrayHeader(2);
            writer.Write(start.Term.Value);
            writer.Write(start.FirstIndex.Value);
        }

        writer.WriteArrayHeader(Databases.Count);
        foreach (var database in Databases)
        {
            writer.WriteArrayHeader(8);
            writer.Write(database.Id);
            writer.Write(database.Name);
            writer.Write(database.PageSize);
            writer.Write(database.AutoVacuum);
            writer.Write(database.IsPublished);
            writer.Write(database.LastEntryIndex);
            writer.Write(database.PageCount);
            writer.Write(database.Checksum);
        }

        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    public static InstallManifest Decode(ReadOnlyMemory<byte> body)
    {
        var reader = new MessagePackReader(body);
        BodyCodec.ExpectArray(ref reader, 6);
        var index = new LogIndex(reader.ReadInt64());
        var term = new Term(reader.ReadInt64());
        var configuration = BodyCodec.ReadBlob(ref reader);
        var configurationIndex = new LogIndex(reader.ReadInt64());
        var starts = new TermStart[BodyCodec.ReadCount(ref reader, MaxTermStarts)];
        for (var i = 0; i < starts.Length; i++)
        {
            BodyCodec.ExpectArray(ref reader, 2);
            starts[i] = new TermStart(new Term(reader.ReadInt64()), new LogIndex(reader.ReadInt64()));
        }

        var databases = new InstallDatabase[BodyCodec.ReadCount(ref reader, MaxDatabases)];
        for (var i = 0; i < databases.Length; i++)
        {
            databases[i] = ReadDatabase(ref reader);
        }

        return reader.End
            ? new InstallManifest(index, term, configuration, configurationIndex, starts, databases)
            : throw new InvalidDataException("Something follows the manifest of a snapshot.");
    }

    /// <summary>
    /// Throws when a node could not live with this state: then it must not begin to install it, since what is begun is repeated at every start.
    /// </summary>
    /// <exception cref="InvalidDataException">Says what is wrong.</exception>
    public InstallManifest RequireUsable()
    {
        try
        {
            ConfigurationCodec.Decode(Configuration);
        }
        catch (ConfigurationFormatException exception)
        {
            throw new InvalidDataException($"A snapshot holds a membership that cannot be read: {exception.Message}", exception);
        }

        if (Index.Value is <= 0 or > LogFormat.MaxNumber || !IsWithin(ConfigurationIndex.Value) || !HasUsableTerms())
        {
            throw new InvalidDataException($"A snapshot of index {Index} and term {Term} holds a membership of index {ConfigurationIndex} and {TermStarts.Count} term starts that do not fit.");
        }

        var (names, previousId) = (new SortedSet<string>(StringComparer.Ordinal), 0L);
        foreach (var database in Databases)
        {
            var isInOrder = database.Id > previousId && database.LastEntryIndex >= database.Id && database.LastEntryIndex <= LogFormat.MaxNumber;
            previousId = database.Id;
            if (!isInOrder || !names.Add(database.Name))
            {
                throw new InvalidDataException($"A snapshot of index {Index} holds database '{database.Name}' with id {database.Id} and last entry {database.LastEntryIndex}, which do not fit.");
            }
        }

        return this;
    }

    /// <summary>The file's bytes: magic, length, CRC32C, body.</summary>
    public byte[] EncodeFile()
    {
        var body = Encode();
        var bytes = new byte[HeaderSize + body.Length];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), body.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), Crc32C.Compute(body));
        body.CopyTo(bytes, HeaderSize);
        return bytes;
    }

    /// <summary>Reads such a file.</summary>
    /// <exception cref="InvalidDataException">It is damaged; names the file.</exception>
    public static InstallManifest DecodeFile(byte[] bytes, string path)
    {
        if (bytes.Length < HeaderSize || !bytes.AsSpan(0, 8).SequenceEqual(Magic)
            || BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(8)) != bytes.Length - HeaderSize
            || BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(12)) != Crc32C.Compute(bytes.AsSpan(HeaderSize)))
        {
            throw Damaged(path, null);
        }

        try
        {
            return Decode(bytes.AsMemory(HeaderSize)).RequireUsable();
        }
        catch (Exception exception) when (exception is InvalidDataException or MessagePackSerializationException)
        {
            throw Damaged(path, exception);
        }
    }

    private static InvalidDataException Damaged(string path, Exception? cause) =>
        new($"'{path}' is damaged: remove this node from the cluster, empty its data directory and let it join again.", cause);

    private bool IsWithin(long index) => index >= 0 && index <= Index.Value;

    /// <summary>Terms and their first indexes grow, and end with the term of the index.</summary>
    private bool HasUsableTerms()
    {
        var previous = default(TermStart);
        foreach (var start in TermStarts)
        {
            if (start.Term <= previous.Term || start.FirstIndex <= previous.FirstIndex || !IsWithin(start.FirstIndex.Value))
            {
                return false;
            }

            previous = start;
        }

        return previous.Term == Term && Term.Value <= LogFormat.MaxNumber;
    }

    private static InstallDatabase ReadDatabase(ref MessagePackReader reader)
    {
        BodyCodec.ExpectArray(ref reader, 8);
        var database = new InstallDatabase(reader.ReadInt64(), BodyCodec.ReadText(ref reader), reader.ReadInt32(), reader.ReadInt32(), reader.ReadBoolean(), reader.ReadInt64(),
            ReadPageCount(ref reader), reader.ReadUInt64());
        if (!DatabaseName.IsValid(database.Name) || database.PageSize is < 512 or > 65536 || !BitOperations.IsPow2(database.PageSize)
            || database.PageCount == 0 || database.AutoVacuum is < 0 or > MaxAutoVacuum)
        {
            throw new InvalidDataException($"A snapshot holds a database with an impossible name, page size or page count ({database.PageSize}, {database.PageCount}).");
        }

        return database;
    }

    private static uint ReadPageCount(ref MessagePackReader reader)
    {
        var count = reader.ReadUInt64();
        return count <= uint.MaxValue ? (uint)count : throw new InvalidDataException($"A snapshot holds a database of {count} pages.");
    }
}
