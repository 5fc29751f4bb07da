using System.Buffers.Binary;
using Dqlite.Net;
using Dqlite.Net.Storage;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>
/// A file of two slots. An input is the damaged file, and behind it the files that it may be taken for: as it was written, and, where the damage is
/// a torn write, as it would have become. Nothing older may ever be read (R18). Without such files nothing is promised of what is read.
/// </summary>
/// <typeparam name="T">What the file holds; compared by value.</typeparam>
internal abstract class SlotFileTarget<T> : FuzzTarget
{
    private const string Directory = "/sim/1/data";
    private const int ChecksumOffset = 24;
    private const int TrailerBytes = 8;

    private static readonly string FilePath = Path.Combine(Directory, "file");

    /// <summary>Creates the file.</summary>
    protected abstract void Create(IFileSystem files, string path, SeededRandom random);

    /// <summary>Opens it and reads what it holds.</summary>
    protected abstract T Open(IFileSystem files, string path);

    /// <summary>Opens it and writes a value.</summary>
    protected abstract void Write(IFileSystem files, string path, T value);

    /// <summary>Another value that may follow.</summary>
    protected abstract T Next(T value, SeededRandom random);

    public override byte[] Generate(SeededRandom random)
    {
        var disk = FuzzDisk.Create();
        disk.CreateDirectory(Directory);
        Create(disk, FilePath, random);
        for (var writes = random.Next(4); writes > 0; writes--)
        {
            Write(disk, FilePath, Next(Open(disk, FilePath), random));
        }

        var written = disk.Content(FilePath)!;
        Write(disk, FilePath, Next(Open(disk, FilePath), random));
        var next = disk.Content(FilePath)!;
        return random.Next(4) switch
        {
            0 => Blobs.Join([Torn(written, next, random), written, next]),
            1 => Blobs.Join([new Mutator(random).Corrupt(written), written]),
            2 => Blobs.Join([Mutate(written, next, random)]),
            _ => Blobs.Join([FixChecksums(Mutate(written, next, random))]),
        };
    }

    public override FuzzCase Prepare(byte[] input)
    {
        var parts = Blobs.Split(input);
        return new Case(this, parts[0], [.. parts.Skip(1).Select(ReadContent)]);
    }

    /// <summary>The write of a slot that ended inside its sector.</summary>
    private static byte[] Torn(byte[] before, byte[] after, SeededRandom random)
    {
        var torn = (byte[])before.Clone();
        var slot = before.AsSpan(0, TwoSlotFile.SlotBytes).SequenceEqual(after.AsSpan(0, TwoSlotFile.SlotBytes)) ? TwoSlotFile.SlotDistance : 0;
        after.AsSpan(slot, random.Next(TwoSlotFile.SlotBytes + 1)).CopyTo(torn.AsSpan(slot));
        return torn;
    }

    private static byte[] Mutate(byte[] written, byte[] next, SeededRandom random)
    {
        var mutator = new Mutator(random);
        var slot = random.Pick([0, TwoSlotFile.SlotDistance]);
        return random.Next(4) switch
        {
            0 => mutator.Mutate(written, () => next),
            1 => [.. written[TwoSlotFile.SlotDistance..], .. written[TwoSlotFile.SlotBytes..TwoSlotFile.SlotDistance], .. written[..TwoSlotFile.SlotBytes]],
            2 => mutator.SetNumber(written, slot + random.Pick([8, 12, 16, TwoSlotFile.SlotBytes - TrailerBytes]), 4),
            _ => mutator.SetNumber(written, slot + random.Between(28, 150), random.Pick([1, 2, 4, 8])),
        };
    }

    private static byte[] FixChecksums(byte[] content)
    {
        var fixedContent = (byte[])content.Clone();
        foreach (var start in new[] { 0, TwoSlotFile.SlotDistance })
        {
            if (content.Length >= start + TwoSlotFile.SlotBytes)
            {
                var slot = fixedContent.AsSpan(start, TwoSlotFile.SlotBytes);
                var state = Crc32C.Append(Crc32C.Initial, slot[..ChecksumOffset]);
                state = Crc32C.Append(state, slot[(ChecksumOffset + sizeof(uint))..^TrailerBytes]);
                BinaryPrimitives.WriteUInt32LittleEndian(slot[ChecksumOffset..], Crc32C.Finish(state));
            }
        }

        return fixedContent;
    }

    private T ReadContent(byte[] content) => Open(DiskWith(content), FilePath);

    private static SimDisk DiskWith(byte[] content)
    {
        var disk = FuzzDisk.Create();
        FuzzDisk.Write(disk, Directory, [new FuzzFile(Path.GetFileName(FilePath), content)]);
        return disk;
    }

    private sealed class Case(SlotFileTarget<T> owner, byte[] content, T[] allowed) : FuzzCase
    {
        private readonly SimDisk _disk = DiskWith(content);
        private T? _value;

        public override void Parse() => _value = owner.Open(_disk, FilePath);

        public override bool IsRefusal(Exception exception) => exception is StorageDamagedException;

        public override void Check()
        {
            Require(allowed.Length == 0 || allowed.Contains(_value), $"{_value} was read where {string.Join(" or ", allowed)} was written");
            Require(Equals(owner.Open(_disk, FilePath), _value), $"{_value} was read once, and then {owner.Open(_disk, FilePath)}");
            owner.Write(_disk, FilePath, _value!);
            Require(Equals(owner.Open(_disk, FilePath), _value), $"{_value} was written again and came back as {owner.Open(_disk, FilePath)}");
        }
    }
}
