using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Sqlite;
using static Dqlite.Net.Tests.Storage.LogTestBed;

namespace Dqlite.Net.Tests.Storage;

/// <summary>Golden bytes: when one of these changes, nodes cannot read their own files any more. See docs/formats.</summary>
public sealed class StorageFormatTests
{
    private static string Hex(ReadOnlySpan<byte> bytes) => Convert.ToHexString(bytes);

    [Test]
    public void Crc32C_gives_the_check_value_of_its_definition()
    {
        Assert.That(Crc32C.Compute("123456789"u8), Is.EqualTo(0xE3069283));
        Assert.That(Crc32C.Compute(new byte[32]), Is.EqualTo(0x8A9136AA)); // RFC 3720, B.4
    }

    [Test]
    public void A_segment_starts_with_its_header_and_holds_its_records()
    {
        var fileSystem = NewFileSystem();
        var salts = new Queue<ulong>([0x1122334455667788, 0x99AABBCCDDEEFF00]);
        using (var log = Open(fileSystem, options: new SegmentedLogOptions { SegmentSizeBytes = 8192, NextSalt = salts.Dequeue }))
        {
            log.AppendAndFlush(new LogEntry(new LogIndex(1), new Term(2), EntryKind.Application, new byte[] { 0xAB, 0xCD, 0xEF }));
            log.WriteIdleMark();
        }

        var content = fileSystem.Content(LogDirectory + "/0000000000000001.segment");
        Assert.That(content, Has.Length.EqualTo(8192));
        Assert.That(Hex(content.AsSpan(0, 64)), Is.EqualTo(GoldenSegmentHeader));
        Assert.That(content[64..4096], Is.All.Zero);
        Assert.That(Hex(content.AsSpan(4096, 48)), Is.EqualTo(GoldenReset));
        Assert.That(Hex(content.AsSpan(4144, 56)), Is.EqualTo(GoldenEntry));
        Assert.That(Hex(content.AsSpan(4200, 48)), Is.EqualTo(GoldenMark));
        Assert.That(content[4248..], Is.All.Zero);
    }

    [Test]
    public void Metadata_has_two_slots()
    {
        var fileSystem = NewFileSystem();
        using (var file = MetadataFile.Create(fileSystem, "/data/metadata", new NodeIdentity(new NodeId(3), "000102030405060708090a0b0c0d0e0f", new string('f', 32))))
        {
            file.Write(new HardState(new Term(5), new NodeId(2)));
        }

        var content = fileSystem.Content("/data/metadata");
        Assert.That(content, Has.Length.EqualTo(4608));
        Assert.That(Hex(content.AsSpan(4096, 88)), Is.EqualTo(GoldenMetadata));
        Assert.That(Hex(content.AsSpan(4096 + 504, 8)), Is.EqualTo("0300000000000000"));
        Assert.That(content[16], Is.EqualTo(2));
    }

    [Test]
    public void Database_metadata_has_its_fields_in_order()
    {
        var fileSystem = NewFileSystem();
        DatabaseMetaFile.Create(fileSystem, "/data/app.meta", SampleMeta).Dispose();
        Assert.That(Hex(fileSystem.Content("/data/app.meta").AsSpan(0, 32 + 81)), Is.EqualTo(GoldenDatabaseMeta));
    }

    [Test]
    public void The_log_base_has_its_fields_in_order()
    {
        var fileSystem = NewFileSystem();
        LogBaseFile.Write(fileSystem, "/data/log.base", new LogBase
        {
            Index = new LogIndex(100),
            Term = new Term(7),
            ConfigurationIndex = new LogIndex(90),
            OwnAddress = "a:1",
            TermStarts = [new TermStart(new Term(1), new LogIndex(1)), new TermStart(new Term(7), new LogIndex(80))],
        });
        Assert.That(Hex(fileSystem.Content("/data/log.base")), Is.EqualTo(GoldenLogBase));
    }

    internal static DatabaseMeta SampleMeta => new()
    {
        DatabaseId = 0x11,
        Name = "app",
        PageSize = 4096,
        AutoVacuum = 2,
        IsPublished = true,
        CheckpointTarget = new LogIndex(0x22),
        CheckpointDone = new LogIndex(0x21),
        LastEntry = new LogIndex(0x20),
        PageCount = 0x33,
        Checksum = 0x4444444444444444,
        File = new FileState(0x55, 0x66, 0x77),
    };

    private const string GoldenSegmentHeader =
        "44714E65744C6F6701000000001000000100000000000000887766554433221100000000000000000020000000000000"
        + "0000000000000000000000008BD547C2";
    private const string GoldenReset =
        "AAF8651600000000130071D1000000000000000000000000000000000000000000000000000000000010000000000000";
    private const string GoldenEntry =
        "2FCC789403000000030071D1000000000100000000000000020000000000000000000000000000003010000000000000"
        + "ABCDEF0000000000";
    private const string GoldenMark =
        "8F352B9E00000000100071D1000000000100000000000000020000000000000001000000000000006810000000000000";
    private const string GoldenMetadata =
        "44714E65744D657401000000380000000300000000000000C94F65870000000005000000000000000200000000000000"
        + "0300000000000000000102030405060708090A0B0C0D0E0FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF";
    private const string GoldenDatabaseMeta =
        "44714E657444624D0100000051000000020000000000000032332B220000000011000000000000000010000002012200"
        + "000000000000210000000000000020000000000000003300000044444444444444445500000000000000660000000000"
        + "0000770000000000000003000000617070";
    private const string GoldenLogBase =
        "44714E6574426173010000004F00000000000000A70B6AB0640000000000000007000000000000005A00000000000000"
        + "03000000613A310800000044514346010000000200000001000000000000000100000000000000070000000000000050"
        + "00000000000000";
}
