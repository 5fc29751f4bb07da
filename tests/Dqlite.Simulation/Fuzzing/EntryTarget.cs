using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Dqlite.Net.Engine;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>The payload of application entries.</summary>
internal sealed class EntryTarget : FuzzTarget
{
    public override string Name => "entries";

    public override byte[] Generate(SeededRandom random)
    {
        var valid = Valid(random);
        var mutator = new Mutator(random);
        return random.Chance(0.4)
            ? mutator.SetNumber(valid, random.Next(Math.Min(valid.Length, EntryCodec.PagesHeaderSize) / 4) * 4, 4)
            : mutator.Mutate(valid, () => Valid(random));
    }

    public override FuzzCase Prepare(byte[] input) => new Case(input);

    private static byte[] Valid(SeededRandom random)
    {
        var samples = new Samples(random);
        return random.Next(6) switch
        {
            0 => EntryCodec.Create(samples.DatabaseName(), 512 << random.Next(8), random.Next(3), random.Chance(0.5)),
            1 => EntryCodec.Drop(samples.Number()),
            2 => EntryCodec.Publish(samples.Number()),
            3 => Part(random, samples),
            _ => Pages(random, samples),
        };
    }

    /// <summary>An entry of random pages, whole ones or changes.</summary>
    public static byte[] Pages(SeededRandom random, in PagesHeader header, ReadOnlySpan<uint> numbers)
    {
        var payload = EntryCodec.AllocatePages(header.DatabaseId, header.PreviousIndex, header.PageSize, header.PageCount, header.Pages, header.Checksum);
        MemoryMarshal.AsBytes(numbers).CopyTo(payload.AsSpan(EntryCodec.PagesHeaderSize));
        var used = EntryCodec.BodiesOffset(header.Pages);
        for (var i = 0; i < header.Pages; i++)
        {
            var size = header.HasChanges ? Changes(random, header.PageSize, payload.AsSpan(used)) : header.PageSize;
            random.Fill(payload.AsSpan(used, header.HasChanges ? 0 : size));
            BinaryPrimitives.WriteInt32LittleEndian(payload.AsSpan(EntryCodec.PagesHeaderSize + (4 * (header.Pages + i))), size);
            used += size;
        }

        return payload[..used];
    }

    private static int Changes(SeededRandom random, int pageSize, Span<byte> destination)
    {
        var from = new byte[pageSize];
        var to = new byte[pageSize];
        for (var runs = random.Next(4); runs > 0; runs--)
        {
            var start = random.Next(pageSize);
            random.Fill(to.AsSpan(start, Math.Min(random.Next(40), pageSize - start)));
        }

        return PageChanges.Write(from, to, destination[..(pageSize / 2)]);
    }

    private static byte[] Part(SeededRandom random, Samples samples)
    {
        var isLast = random.Chance(0.5);
        var header = new PartHeader(samples.Number(), samples.Number(), random.Next(1000), 512 << random.Next(2), (uint)random.Between(1, 100), random.Next(4), isLast ? random.NextBits() : 0, isLast);
        var payload = new byte[PartCodec.HeaderSize + PageBodies.WholeSize(header.Pages, header.PageSize)];
        random.Fill(payload);
        PartCodec.WriteHeader(payload, header);
        PageBodies.SetWhole(payload.AsSpan(PartCodec.HeaderSize), header.Pages, header.PageSize);
        return payload;
    }

    private static byte[] Pages(SeededRandom random, Samples samples)
    {
        var header = new PagesHeader(samples.Number(), samples.Number(), 512 << random.Next(2), (uint)random.Between(1, 100), random.Next(4), random.NextBits(), random.Chance(0.5));
        return Pages(random, header, [.. Enumerable.Range(1, header.Pages).Select(page => (uint)page)]);
    }

    private sealed class Case(byte[] input) : FuzzCase
    {
        private Func<byte[]>? _encode;

        public override void Parse() => _encode = Decode(input);

        public override bool IsRefusal(Exception exception) => exception is InvalidDataException;

        /// <summary>Bytes that carry nothing are not kept: the second time nothing may change.</summary>
        public override void Check()
        {
            var encoded = _encode!();
            RequireSame(encoded, Decode(encoded)(), "the entry came back as");
            Require(EntryCodec.KindOf(encoded) == EntryCodec.KindOf(input), "the entry came back as another kind");
        }

        /// <summary>As the node applies it.</summary>
        private static Func<byte[]> Decode(byte[] payload)
        {
            switch (EntryCodec.KindOf(payload))
            {
                case DatabaseEntryKind.Create:
                    var create = EntryCodec.ReadCreate(payload);
                    return () => EntryCodec.Create(create.Name, create.PageSize, create.AutoVacuum, create.Published);
                case DatabaseEntryKind.Drop:
                    var dropped = EntryCodec.ReadId(payload);
                    return () => EntryCodec.Drop(dropped);
                case DatabaseEntryKind.Publish:
                    var published = EntryCodec.ReadId(payload);
                    return () => EntryCodec.Publish(published);
                case DatabaseEntryKind.Part:
                    var part = PartCodec.Read(payload);
                    return () => EncodePart(payload, part);
                default:
                    var header = EntryCodec.ReadPages(payload);
                    if (header.HasChanges)
                    {
                        return () => payload;
                    }

                    var numbers = EntryCodec.PageNumbers(payload, header).ToArray();
                    var images = EntryCodec.Images(payload, header).ToArray();
                    return () => EncodePages(header, numbers, images);
            }
        }

        /// <summary>What the header does not hold goes.</summary>
        private static byte[] EncodePart(byte[] payload, in PartHeader header)
        {
            var encoded = payload.ToArray();
            encoded.AsSpan(0, PartCodec.HeaderSize).Clear();
            PartCodec.WriteHeader(encoded, header);
            return encoded;
        }

        private static byte[] EncodePages(in PagesHeader header, uint[] numbers, byte[] images)
        {
            var payload = EntryCodec.AllocatePages(header.DatabaseId, header.PreviousIndex, header.PageSize, header.PageCount, header.Pages, header.Checksum);
            MemoryMarshal.AsBytes(numbers.AsSpan()).CopyTo(payload.AsSpan(EntryCodec.PagesHeaderSize));
            images.CopyTo(payload.AsSpan(EntryCodec.BodiesOffset(numbers.Length)));
            return payload;
        }
    }
}
