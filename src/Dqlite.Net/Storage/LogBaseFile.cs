using System.Buffers.Binary;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Storage;

/// <summary>Where the log begins, and what must be known of the entries before it.</summary>
internal sealed record LogBase
{
    /// <summary>Entries up to here are not in the log.</summary>
    internal LogIndex Index { get; init; }

    /// <summary>Term of that entry.</summary>
    internal Term Term { get; init; }

    /// <summary>The configuration in force at <see cref="Index"/>.</summary>
    internal ClusterConfiguration Configuration { get; init; } = ClusterConfiguration.Empty;

    /// <summary>Index of the entry that put it in force.</summary>
    internal LogIndex ConfigurationIndex { get; init; }

    /// <summary>Term starts up to <see cref="Index"/>, ascending; kept for ever.</summary>
    internal IReadOnlyList<TermStart> TermStarts { get; init; } = [];

    /// <summary>The address under which this node is known, as host:port.</summary>
    internal string OwnAddress { get; init; } = string.Empty;
}

/// <summary>DATA/log.base: replaced as a whole (docs/formats/metadata.md).</summary>
internal static class LogBaseFile
{
    internal const string FileName = "log.base";
    private const int HeaderBytes = 24;
    private const uint Version = 1;

    private static ReadOnlySpan<byte> Magic => "DqNetBas"u8;

    /// <summary>Makes a base durable.</summary>
    internal static void Write(IFileSystem fileSystem, string path, LogBase logBase)
    {
        var payload = Encode(logBase);
        var content = new byte[HeaderBytes + payload.Length];
        Magic.CopyTo(content);
        BinaryPrimitives.WriteUInt32LittleEndian(content.AsSpan(8), Version);
        BinaryPrimitives.WriteInt64LittleEndian(content.AsSpan(12), payload.Length);
        payload.CopyTo(content, HeaderBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(content.AsSpan(20), ContentCrc(content));
        AtomicFile.Write(fileSystem, path, content);
    }

    /// <summary>Reads the base.</summary>
    /// <returns>Null when there is none: a blank node.</returns>
    /// <exception cref="StorageDamagedException">It is not what was written.</exception>
    internal static LogBase? Read(IFileSystem fileSystem, string path)
    {
        if (!fileSystem.Exists(path))
        {
            return null;
        }

        fileSystem.SyncDirectory(Path.GetDirectoryName(path)!); // the rename may so far be in the kernel's memory only
        using var file = fileSystem.Open(path, DurableFileMode.Read);
        var content = ReadContent(file);
        if (content is null || ContentCrc(content) != BinaryPrimitives.ReadUInt32LittleEndian(content.AsSpan(20)))
        {
            throw new StorageDamagedException(path, "its magic, length or checksum is wrong");
        }

        var version = BinaryPrimitives.ReadUInt32LittleEndian(content.AsSpan(8));
        if (version != Version)
        {
            throw new StorageDamagedException(path, $"it has format version {version}, this program reads {Version}");
        }

        try
        {
            return Decode(content.AsSpan(HeaderBytes));
        }
        catch (Exception exception) when (exception is FormatException or ConfigurationFormatException)
        {
            throw new StorageDamagedException(path, exception.Message.TrimEnd('.'));
        }
    }

    /// <summary>The whole file, if its header fits its length: a file that has grown is not read into memory.</summary>
    private static byte[]? ReadContent(IDurableFile file)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        if (file.Read(header, 0) < HeaderBytes || !header[..8].SequenceEqual(Magic)
            || BinaryPrimitives.ReadInt64LittleEndian(header[12..]) != file.Length - HeaderBytes || file.Length > Array.MaxLength)
        {
            return null;
        }

        var content = new byte[file.Length];
        return file.Read(content, 0) == content.Length ? content : null;
    }

    private static uint ContentCrc(ReadOnlySpan<byte> content) =>
        Crc32C.Finish(Crc32C.Append(Crc32C.Append(Crc32C.Initial, content[..20]), content[HeaderBytes..]));

    private static byte[] Encode(LogBase logBase)
    {
        var writer = new ByteWriter()
            .Int64(logBase.Index.Value)
            .Int64(logBase.Term.Value)
            .Int64(logBase.ConfigurationIndex.Value)
            .Text(logBase.OwnAddress)
            .Blob(ConfigurationCodec.Encode(logBase.Configuration))
            .UInt32((uint)logBase.TermStarts.Count);
        foreach (var start in logBase.TermStarts)
        {
            writer.Int64(start.Term.Value).Int64(start.FirstIndex.Value);
        }

        return writer.ToArray();
    }

    private static LogBase Decode(ReadOnlySpan<byte> payload)
    {
        var reader = new ByteReader(payload);
        var index = new LogIndex(reader.Int64());
        var term = new Term(reader.Int64());
        var configurationIndex = new LogIndex(reader.Int64());
        var ownAddress = reader.Text();
        var configuration = ConfigurationCodec.Decode(reader.Blob());
#if MUTANTS
        configuration = Mutant.Is("R24b") ? new ClusterConfiguration(configuration.Members.Where(member => member.Role == MemberRole.Voter)) : configuration;
#endif
        var termStarts = new TermStart[reader.Count(16)];
        for (var i = 0; i < termStarts.Length; i++)
        {
            termStarts[i] = new TermStart(new Term(reader.Int64()), new LogIndex(reader.Int64()));
        }

        return new LogBase
        {
            Index = index,
            Term = term,
            Configuration = configuration,
            ConfigurationIndex = configurationIndex,
            TermStarts = termStarts,
            OwnAddress = ownAddress,
        };
    }
}
