using System.Buffers.Binary;
using Dqlite.Net.Engine;
using Dqlite.Net.Storage;
using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>A snapshot stream: the pieces as they arrive, each with its sequence number and kind. What ends well must be databases that can be opened.</summary>
internal sealed class SnapshotTarget : FuzzTarget
{
    private const int PieceHeaderBytes = 9;
    private const int MaxPages = 6;

    public override string Name => "snapshot";

    public override byte[] Generate(SeededRandom random)
    {
        var pieces = Valid(random);
        for (var i = random.Next(3); i > 0 && pieces.Count > 0; i--)
        {
            Mutate(pieces, random);
        }

        return Blobs.Join(pieces.ConvertAll(Encode));
    }

    public override FuzzCase Prepare(byte[] input) => new Case([.. Blobs.Split(input).Where(part => part.Length >= PieceHeaderBytes).Select(Decode)]);

    private static List<StreamChunk> Valid(SeededRandom random)
    {
        var databases = new List<InstallDatabase>();
        var pages = new List<byte[]>();
        for (var id = 1; id <= random.Next(4); id++)
        {
            var pageSize = 512 << random.Next(3);
            var images = Enumerable.Range(1, random.Between(1, MaxPages)).Select(page => Image(random, (uint)page, pageSize)).ToArray();
            var checksum = images.Select((image, i) => PageChecksum.Compute((uint)i + 1, image)).Aggregate(0UL, (sum, page) => sum ^ page);
            databases.Add(new InstallDatabase(id, "db" + (char)('0' + id), pageSize, 0, true, id, (uint)images.Length, checksum));
            var perPiece = random.Between(1, MaxPages);
            pages.AddRange(images.Chunk(perPiece).Select((chunk, i) => Pages(databases.Count - 1, (i * perPiece) + 1, chunk)));
        }

        var manifest = new Samples(random).Manifest(new LogIndex(random.Between(databases.Count + 1, 100)), databases).Encode();
        (byte Kind, byte[] Body)[] all = [(InstallMessages.ManifestChunk, manifest), .. pages.Select(page => (InstallMessages.PagesChunk, page)), (InstallMessages.EndChunk, [])];
        return [.. all.Select((piece, sequence) => new StreamChunk(1, sequence, piece.Kind, piece.Body))];
    }

    private static byte[] Image(SeededRandom random, uint page, int pageSize)
    {
        var image = new byte[pageSize];
        if (page == 1)
        {
            PageChecksum.WriteCanonicalPage1(image, 0);
        }
        else
        {
            random.Fill(image.AsSpan(0, 64));
        }

        return image;
    }

    private static byte[] Pages(int ordinal, int first, byte[][] images)
    {
        var writer = new ByteWriter().UInt32((uint)ordinal).UInt32((uint)images.Length);
        for (var i = 0; i < images.Length; i++)
        {
            writer.UInt32((uint)(first + i)).Bytes(images[i]);
        }

        return writer.ToArray();
    }

    private static void Mutate(List<StreamChunk> pieces, SeededRandom random)
    {
        var at = random.Next(pieces.Count);
        var (piece, mutator) = (pieces[at], new Mutator(random));
        var body = piece.Body.ToArray();
        switch (random.Next(8))
        {
            case 0:
                pieces.RemoveAt(at);
                break;
            case 1:
                pieces.Insert(random.Next(pieces.Count + 1), piece);
                break;
            case 2:
                var other = random.Next(pieces.Count);
                (pieces[at], pieces[other]) = (pieces[other] with { Sequence = at }, piece with { Sequence = other });
                break;
            case 3:
                pieces[at] = random.Chance(0.5) ? piece with { Sequence = (long)random.NextBits() } : piece with { Kind = (byte)random.Next(6) };
                break;
            case 4 when body.Length >= 12:
                pieces[at] = piece with { Body = mutator.SetNumber(body, 4 * random.Next(3), 4) };
                break;
            case 5 or 6:
                pieces[0] = pieces[0] with { Body = new MessagePackMutator(random).Mutate(pieces[0].Body.ToArray()) };
                break;
            default:
                pieces[at] = piece with { Body = mutator.Mutate(body, () => random.Pick(pieces).Body.ToArray()) };
                break;
        }
    }

    private static byte[] Encode(StreamChunk piece) => new ByteWriter().Int64(piece.Sequence).Byte(piece.Kind).Bytes(piece.Body.Span).ToArray();

    private static StreamChunk Decode(byte[] part) =>
        new(1, BinaryPrimitives.ReadInt64LittleEndian(part), part[PieceHeaderBytes - 1], part.AsMemory(PieceHeaderBytes));

    private sealed class Case(StreamChunk[] pieces) : ShimCase
    {
        private InstallStream? _stream;
        private InstallManifest? _manifest;

        public override void Parse()
        {
            _stream = new InstallStream(ShimPageStores.Instance, Directory);
            foreach (var piece in pieces)
            {
                if (_manifest is null)
                {
                    _manifest = _stream.Take(piece);
                }
            }
        }

        public override bool IsRefusal(Exception exception) => exception is InvalidDataException or MessagePackSerializationException or ShimException;

        public override void Check()
        {
            foreach (var database in _manifest?.Databases ?? [])
            {
                var files = database.FilesIn(Directory);
                using var opened = Open(new PageDatabaseOptions
                {
                    Path = files.NewDatabasePath,
                    SumsPath = files.NewSumsPath,
                    PageSize = database.PageSize,
                    PageCount = database.PageCount,
                    Checksum = database.Checksum,
                });
                Require(opened.State.PageCount == database.PageCount, $"the database has {opened.State.PageCount} pages");
            }

            _manifest?.RequireUsable();
        }

        public override void Dispose()
        {
            _stream?.Dispose();
            base.Dispose();
        }
    }
}
