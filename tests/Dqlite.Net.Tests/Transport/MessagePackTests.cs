using System.Buffers;
using System.Text;
using Dqlite.Net.Transport;

namespace Dqlite.Net.Tests.Transport;

[TestFixture]
public sealed class MessagePackTests
{
    // Bytes from the tables of https://github.com/msgpack/msgpack/blob/master/spec.md.
    [TestCase(0L, "00")]
    [TestCase(127L, "7F")]
    [TestCase(128L, "CC80")]
    [TestCase(255L, "CCFF")]
    [TestCase(256L, "CD0100")]
    [TestCase(65535L, "CDFFFF")]
    [TestCase(65536L, "CE00010000")]
    [TestCase(4294967295L, "CEFFFFFFFF")]
    [TestCase(4294967296L, "CF0000000100000000")]
    [TestCase(long.MaxValue, "CF7FFFFFFFFFFFFFFF")]
    [TestCase(-1L, "FF")]
    [TestCase(-32L, "E0")]
    [TestCase(-33L, "D0DF")]
    [TestCase(-128L, "D080")]
    [TestCase(-129L, "D1FF7F")]
    [TestCase(-32768L, "D18000")]
    [TestCase(-32769L, "D2FFFF7FFF")]
    [TestCase(int.MinValue, "D280000000")]
    [TestCase(int.MinValue - 1L, "D3FFFFFFFF7FFFFFFF")]
    [TestCase(long.MinValue, "D38000000000000000")]
    public void An_integer_takes_its_shortest_form(long value, string hex)
    {
        Assert.That(Write((ref writer) => writer.Write(value)), Is.EqualTo(hex));
        Assert.That(Reader(hex).ReadInt64(), Is.EqualTo(value));
    }

    [TestCase("D00A", 10L)]
    [TestCase("D1000A", 10L)]
    [TestCase("D20000000A", 10L)]
    [TestCase("D3000000000000000A", 10L)]
    [TestCase("CF000000000000000A", 10L)]
    public void An_integer_is_read_in_any_form(string hex, long value) => Assert.That(Reader(hex).ReadInt64(), Is.EqualTo(value));

    [Test]
    public void Fixed_forms_and_constants_match_the_specification()
    {
        Assert.That(Write((ref writer) => writer.WriteInt64(1)), Is.EqualTo("D30000000000000001"));
        Assert.That(Write((ref writer) => writer.WriteUInt64(ulong.MaxValue)), Is.EqualTo("CFFFFFFFFFFFFFFFFF"));
        Assert.That(Write((ref writer) => writer.WriteInt32(-2)), Is.EqualTo("D2FFFFFFFE"));
        Assert.That(Write((ref writer) => writer.WriteNil()), Is.EqualTo("C0"));
        Assert.That(Write((ref writer) => writer.Write(false)), Is.EqualTo("C2"));
        Assert.That(Write((ref writer) => writer.Write(true)), Is.EqualTo("C3"));
        Assert.That(Write((ref writer) => writer.Write((string?)null)), Is.EqualTo("C0"));
        Assert.That(Reader("CFFFFFFFFFFFFFFFFF").ReadUInt64(), Is.EqualTo(ulong.MaxValue));
    }

    [TestCase(0, "90")]
    [TestCase(15, "9F")]
    [TestCase(16, "DC0010")]
    [TestCase(65535, "DCFFFF")]
    [TestCase(65536, "DD00010000")]
    public void An_array_header_takes_its_shortest_form(int count, string hex)
    {
        Assert.That(Write((ref writer) => writer.WriteArrayHeader(count)), Is.EqualTo(hex));
        Assert.That(Reader(hex + new string('0', 2 * count)).ReadArrayHeader(), Is.EqualTo(count));
    }

    [TestCase(0, "80")]
    [TestCase(15, "8F")]
    [TestCase(16, "DE0010")]
    [TestCase(65536, "DF00010000")]
    public void A_map_header_takes_its_shortest_form(int count, string hex)
    {
        Assert.That(Write((ref writer) => writer.WriteMapHeader(count)), Is.EqualTo(hex));
        Assert.That(Reader(hex + new string('0', 4 * count)).ReadMapHeader(), Is.EqualTo(count));
    }

    [TestCase(0, "A0")]
    [TestCase(31, "BF")]
    [TestCase(32, "D920")]
    [TestCase(255, "D9FF")]
    [TestCase(256, "DA0100")]
    [TestCase(65536, "DB00010000")]
    public void A_string_takes_its_shortest_form(int length, string prefix)
    {
        var text = new string('x', length);
        var hex = Write((ref writer) => writer.Write(text));
        Assert.That(hex, Is.EqualTo(prefix + Convert.ToHexString(Encoding.UTF8.GetBytes(text))));
        Assert.That(Reader(hex).ReadString(), Is.EqualTo(text));
    }

    [TestCase(0, "C400")]
    [TestCase(255, "C4FF")]
    [TestCase(256, "C50100")]
    [TestCase(65536, "C600010000")]
    public void A_byte_string_takes_its_shortest_form(int length, string prefix)
    {
        var bytes = new byte[length];
        Array.Fill(bytes, (byte)0xab);
        var hex = Write((ref writer) => writer.Write(bytes));
        Assert.That(hex, Is.EqualTo(prefix + Convert.ToHexString(bytes)));
        Assert.That(Reader(hex).ReadBytes()!.Value.ToArray(), Is.EqualTo(bytes));
    }

    [Test]
    public void Text_beyond_ascii_survives()
    {
        const string Text = "naïve 🐘 数据";
        Assert.That(Reader(Write((ref writer) => writer.Write(Text))).ReadString(), Is.EqualTo(Text));
    }

    [Test]
    public void Skip_passes_over_any_value()
    {
        // A map of a string and an array that holds nil, true, two floats, bytes, and integers of several sizes; then 7.
        var reader = Reader("81A16198C0C3CA3F800000CB3FF0000000000000C40201020500CDFFFF" + "07");
        reader.Skip();
        Assert.That(reader.ReadInt64(), Is.EqualTo(7));
        Assert.That(reader.End, Is.True);
    }

    [TestCase("")]
    [TestCase("CD01")]
    [TestCase("D3000000")]
    [TestCase("CFFFFFFFFFFFFFFFFF")]
    [TestCase("C0")]
    [TestCase("C1")]
    [TestCase("CA00000000")]
    [TestCase("A161")]
    public void What_is_not_an_integer_is_a_typed_error(string hex) =>
        Assert.That(() => Reader(hex).ReadInt64(), Throws.TypeOf<MessagePackSerializationException>());

    [Test]
    public void A_length_is_not_believed_beyond_the_input()
    {
        foreach (var hex in new[] { "DDFFFFFFFF00", "DC000200", "DFFFFFFFFF0000", "DBFFFFFFFF61", "C6FFFFFFFF61", "BF61", "C4FF00" })
        {
            Assert.That(() => Reader(hex).Skip(), Throws.TypeOf<MessagePackSerializationException>(), hex);
        }
    }

    [Test]
    public void Nesting_is_bounded()
    {
        var hex = string.Concat(Enumerable.Repeat("91", 100_000)) + "00";
        Assert.That(() => Reader(hex).Skip(), Throws.TypeOf<MessagePackSerializationException>());
    }

    [Test]
    public void A_string_that_is_not_utf8_is_a_typed_error() =>
        Assert.That(() => Reader("A2C328").ReadString(), Throws.TypeOf<MessagePackSerializationException>());

    [Test]
    public void Garbage_gives_only_typed_errors_and_bounded_allocations()
    {
        const int Seed = 20260728;
        TestContext.Out.WriteLine($"seed {Seed}");
        var random = new Random(Seed);
        var buffer = new byte[64];
        for (var round = 0; round < 200_000; round++)
        {
            random.NextBytes(buffer);
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                ReadAnything(buffer.AsMemory(0, random.Next(buffer.Length)), round % 9);
            }
            catch (MessagePackSerializationException)
            {
            }

            Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(64 << 10), $"round {round}");
        }
    }

    private static void ReadAnything(ReadOnlyMemory<byte> bytes, int choice)
    {
        var reader = new MessagePackReader(bytes);
        switch (choice)
        {
            case 0: reader.Skip(); break;
            case 1: reader.ReadInt64(); break;
            case 2: reader.ReadUInt64(); break;
            case 3: reader.ReadString(); break;
            case 4: reader.ReadBytes(); break;
            case 5: reader.ReadArrayHeader(); break;
            case 6: reader.ReadMapHeader(); break;
            case 7: reader.ReadBoolean(); break;
            default: reader.ReadByte(); break;
        }
    }

    private delegate void WriteAction(ref MessagePackWriter writer);

    private static string Write(WriteAction write)
    {
        var output = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(output);
        write(ref writer);
        writer.Flush();
        return Convert.ToHexString(output.WrittenSpan);
    }

    private static MessagePackReader Reader(string hex) => new(Convert.FromHexString(hex));
}
