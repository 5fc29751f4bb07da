using System.Buffers.Binary;
using Dqlite.Sqlite;

namespace Dqlite.Net.Storage;

/// <summary>
/// A small record that is replaced atomically: two slots, written in turn, each with a generation and a checksum
/// (docs/formats/metadata.md). A slot that cannot be read is passed over only when it shows the trace of a write that did not finish;
/// otherwise it may have held the newer record, and the file is damaged: an older vote must never come back. One thread at a time.
/// </summary>
internal sealed class TwoSlotFile : IDisposable
{
    internal const int SlotBytes = 512;       // one sector: a device writes it whole or not
    internal const int SlotDistance = 4096;   // no device writes both at once
    internal const int MaxPayloadBytes = SlotBytes - HeaderBytes - TrailerBytes;
    private const int HeaderBytes = 32;
    private const int TrailerBytes = 8;
    private const int FileBytes = SlotDistance + SlotBytes;
    private const uint Version = 1;

    private readonly IDurableFile _file;
    private readonly byte[] _magic;
    private long _generation;
    private Exception? _failure;

    private TwoSlotFile(IDurableFile file, ReadOnlySpan<byte> magic, long generation, byte[] payload)
    {
        _file = file;
        _magic = magic.ToArray();
        _generation = generation;
        Payload = payload;
    }

    private enum SlotKind
    {
        Valid,
        Unfinished,
        Damaged,
    }

    private readonly record struct Slot(SlotKind Kind, long Generation, byte[] Payload);

    /// <summary>The record that is durable.</summary>
    internal byte[] Payload { get; private set; }

    /// <summary>Creates the file with a first record, atomically: both slots are valid from the start.</summary>
    internal static TwoSlotFile Create(IFileSystem fileSystem, string path, ReadOnlySpan<byte> magic, byte[] payload)
    {
        var content = new byte[FileBytes];
        for (var generation = 1; generation <= 2; generation++)
        {
            Encode(content.AsSpan((generation & 1) * SlotDistance, SlotBytes), magic, generation, payload);
        }

        AtomicFile.Write(fileSystem, path, content);
        return new TwoSlotFile(fileSystem.Open(path, DurableFileMode.Read | DurableFileMode.Write), magic, 2, payload);
    }

    /// <summary>Opens an existing file.</summary>
    /// <exception cref="StorageDamagedException">The newest record cannot be told.</exception>
    internal static TwoSlotFile Open(IFileSystem fileSystem, string path, ReadOnlySpan<byte> magic)
    {
        var file = fileSystem.Open(path, DurableFileMode.Read | DurableFileMode.Write);
        try
        {
            var content = new byte[FileBytes];
            if (file.Read(content, 0) != content.Length)
            {
                throw new StorageDamagedException(path, "the file is too short");
            }

            var even = Decode(content.AsSpan(0, SlotBytes), magic);
            var odd = Decode(content.AsSpan(SlotDistance, SlotBytes), magic);
            var newest = Choose(path, even, odd);
            // It may be in the kernel's memory only, when just the process had stopped, and after a failed fsync the kernel takes it for
            // clean: it is written again, since nothing may be derived from it before it is durable.
            var slot = (int)(newest.Generation & 1) * SlotDistance;
            file.Write(content.AsSpan(slot, SlotBytes), slot);
            file.Sync();
            fileSystem.SyncDirectory(Path.GetDirectoryName(path)!);
            return new TwoSlotFile(file, magic, newest.Generation, newest.Payload);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static Slot Choose(string path, in Slot even, in Slot odd)
    {
        if (even.Kind == SlotKind.Valid && odd.Kind == SlotKind.Valid)
        {
            if ((even.Generation & 1) != 0 || (odd.Generation & 1) != 1 || Math.Abs(even.Generation - odd.Generation) != 1)
            {
                throw new StorageDamagedException(path, $"its slots have the generations {even.Generation} and {odd.Generation}, which do not follow each other");
            }

            return even.Generation > odd.Generation ? even : odd;
        }

        var (good, bad) = even.Kind == SlotKind.Valid ? (even, odd) : (odd, even);
        if (good.Kind != SlotKind.Valid)
        {
            throw new StorageDamagedException(path, "neither of its two slots is valid");
        }

        return bad.Kind == SlotKind.Unfinished && bad.Generation == good.Generation + 1
            ? good
            : throw new StorageDamagedException(path, $"one of its two slots is invalid without the trace of an unfinished write, and may have held a newer record than generation {good.Generation}");
    }

    /// <summary>Replaces the record; durable when it returns. After a failure every later call fails too.</summary>
    internal void Write(byte[] payload)
    {
        if (_failure is not null)
        {
            throw new StorageFailedException(_file.Path, _failure);
        }

        var generation = _generation + 1;
        Span<byte> slot = stackalloc byte[SlotBytes];
        Encode(slot, _magic, generation, payload);
        try
        {
            _file.Write(slot, (generation & 1) * SlotDistance);
            _file.Sync();
        }
        catch (Exception exception)
        {
            _failure = exception;
            throw new StorageFailedException(_file.Path, exception);
        }

        _generation = generation;
        Payload = payload;
    }

    private static void Encode(Span<byte> slot, ReadOnlySpan<byte> magic, long generation, ReadOnlySpan<byte> payload)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(payload.Length, MaxPayloadBytes, nameof(payload));
        slot.Clear();
        magic.CopyTo(slot);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[8..], Version);
        BinaryPrimitives.WriteInt32LittleEndian(slot[12..], payload.Length);
        BinaryPrimitives.WriteInt64LittleEndian(slot[16..], generation);
        payload.CopyTo(slot[HeaderBytes..]);
        BinaryPrimitives.WriteInt64LittleEndian(slot[(SlotBytes - TrailerBytes)..], generation);
        BinaryPrimitives.WriteUInt32LittleEndian(slot[24..], SlotCrc(slot));
    }

    private static Slot Decode(ReadOnlySpan<byte> slot, ReadOnlySpan<byte> magic)
    {
        var generation = BinaryPrimitives.ReadInt64LittleEndian(slot[16..]);
        var trailer = BinaryPrimitives.ReadInt64LittleEndian(slot[(SlotBytes - TrailerBytes)..]);
        var length = BinaryPrimitives.ReadInt32LittleEndian(slot[12..]);
        var damaged = new Slot(SlotKind.Damaged, generation, []);
        if (!slot[..8].SequenceEqual(magic) || BinaryPrimitives.ReadUInt32LittleEndian(slot[8..]) != Version || length is < 0 or > MaxPayloadBytes)
        {
            return damaged;
        }

        if (SlotCrc(slot) == BinaryPrimitives.ReadUInt32LittleEndian(slot[24..]))
        {
            return new Slot(SlotKind.Valid, generation, slot.Slice(HeaderBytes, length).ToArray());
        }

        // A write that stopped inside the sector: new at the start, two generations older at the end. One flipped byte cannot make the
        // newest slot look so: both generations would have to change.
        return trailer == generation - 2 ? new Slot(SlotKind.Unfinished, generation, []) : damaged;
    }

    /// <summary>Everything but the checksum itself and the trailer.</summary>
    private static uint SlotCrc(ReadOnlySpan<byte> slot) =>
        Crc32C.Finish(Crc32C.Append(Crc32C.Append(Crc32C.Initial, slot[..24]), slot[28..(SlotBytes - TrailerBytes)]));

    public void Dispose() => _file.Dispose();
}

/// <summary>Replaces whole files.</summary>
internal static class AtomicFile
{
    internal const string TemporaryExtension = ".new";

    /// <summary>Writes a new file beside the old one, fsyncs it, renames it over the old one and fsyncs the directory.</summary>
    internal static void Write(IFileSystem fileSystem, string path, ReadOnlySpan<byte> content)
    {
        var temporary = path + TemporaryExtension;
        using (var file = fileSystem.Open(temporary, DurableFileMode.Read | DurableFileMode.Write | DurableFileMode.Create | DurableFileMode.Truncate))
        {
            file.Write(content, 0);
            file.Sync();
        }

        fileSystem.Rename(temporary, path);
        fileSystem.SyncDirectory(Path.GetDirectoryName(path)!);
    }
}
