using System.Buffers.Binary;
using Dqlite.Net;
using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>DATA/log.base. An input is the damaged file, and behind it the file as written unless checksums were forged: nothing else may be read.</summary>
internal sealed class LogBaseTarget : FuzzTarget
{
    private const string Directory = "/sim/1/data";
    private const int HeaderBytes = 24;
    private const int ChecksumOffset = 20;
    private const int HugeBytes = 8 << 20;

    private static readonly string FilePath = Path.Combine(Directory, LogBaseFile.FileName);

    public override string Name => "logbase";

    public override byte[] Generate(SeededRandom random)
    {
        var written = Encode(new Samples(random).LogBase());
        var mutator = new Mutator(random);
        if (random.Chance(0.01))
        {
            return Blobs.Join([[.. written, .. new byte[HugeBytes]], written]);
        }

        var damaged = random.Next(4) switch
        {
            0 => mutator.SetNumber(written, random.Between(HeaderBytes, written.Length - 8), random.Pick([1, 2, 4, 8])),
            _ => mutator.Mutate(written, () => Encode(new Samples(random).LogBase())),
        };
        return random.Chance(0.5) ? Blobs.Join([damaged, written]) : Blobs.Join([FixChecksum(damaged)]);
    }

    public override FuzzCase Prepare(byte[] input)
    {
        var parts = Blobs.Split(input);
        return new Case(parts[0], parts.Length > 1 ? parts[1] : null);
    }

    private static byte[] Encode(LogBase logBase)
    {
        var disk = FuzzDisk.Create();
        disk.CreateDirectory(Directory);
        LogBaseFile.Write(disk, FilePath, logBase);
        return disk.Content(FilePath)!;
    }

    private static byte[] FixChecksum(byte[] content)
    {
        if (content.Length < HeaderBytes)
        {
            return content;
        }

        var fixedContent = (byte[])content.Clone();
        BinaryPrimitives.WriteInt64LittleEndian(fixedContent.AsSpan(12), content.Length - HeaderBytes);
        var state = Crc32C.Append(Crc32C.Append(Crc32C.Initial, fixedContent.AsSpan(0, ChecksumOffset)), fixedContent.AsSpan(HeaderBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(fixedContent.AsSpan(ChecksumOffset), Crc32C.Finish(state));
        return fixedContent;
    }

    private sealed class Case : FuzzCase
    {
        private readonly SimDisk _disk = FuzzDisk.Create();
        private readonly byte[]? _written;
        private LogBase? _read;

        public Case(byte[] damaged, byte[]? written)
        {
            _written = written;
            FuzzDisk.Write(_disk, Directory, [new FuzzFile(LogBaseFile.FileName, damaged)]);
        }

        public override void Parse() => _read = LogBaseFile.Read(_disk, FilePath);

        public override bool IsRefusal(Exception exception) => exception is StorageDamagedException;

        public override void Check()
        {
            // What is encoded is deterministic, so equal bytes are equal values.
            var encoded = Encode(_read!);
            RequireSame(_written ?? encoded, encoded, "the base was read as");
            LogBaseFile.Write(_disk, FilePath, _read!);
            RequireSame(encoded, Encode(LogBaseFile.Read(_disk, FilePath)!), "the base came back as");
        }
    }
}
