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
        return random.Next(5) switch
        {
            0 => EntryCodec.Create(samples.DatabaseName(), 512 << random.Next(8), random.Next(3), random.Chance(0.5)),
            1 => EntryCodec.Drop(samples.Number()),
            2 => EntryCodec.Publish(samples.Number()),
            _ => Pages(random, samples),
        };
    }

    private static byte[] Pages(SeededRandom random, Samples samples)
    {
        var count = random.Next(4);
        var pageSize = 512 << random.Next(2);
        var payload = EntryCodec.AllocatePages(samples.Number(), samples.Number(), pageSize, (uint)random.Between(1, 100), count, random.NextBits());
        random.Fill(payload.AsSpan(EntryCodec.PagesHeaderSize + (4 * count)));
        for (var i = 0; i < count; i++)
        {
            MemoryMarshal.Write(payload.AsSpan(EntryCodec.PagesHeaderSize + (4 * i)), (uint)(i + 1));
        }

        return payload;
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
                default:
                    var header = EntryCodec.ReadPages(payload);
                    var numbers = EntryCodec.PageNumbers(payload, header).ToArray();
                    var images = EntryCodec.Images(payload, header).ToArray();
                    return () => EncodePages(header, numbers, images);
            }
        }

        private static byte[] EncodePages(in PagesHeader header, uint[] numbers, byte[] images)
        {
            var payload = EntryCodec.AllocatePages(header.DatabaseId, header.PreviousIndex, header.PageSize, header.PageCount, header.Pages, header.Checksum);
            MemoryMarshal.AsBytes(numbers.AsSpan()).CopyTo(payload.AsSpan(EntryCodec.PagesHeaderSize));
            images.CopyTo(payload.AsSpan(EntryCodec.PagesHeaderSize + (4 * numbers.Length)));
            return payload;
        }
    }
}
