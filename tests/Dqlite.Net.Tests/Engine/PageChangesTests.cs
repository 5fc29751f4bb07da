using Dqlite.Net.Engine;

namespace Dqlite.Net.Tests.Engine;

/// <summary>What changed in a page, as it travels. See docs/formats/entries.md.</summary>
public sealed class PageChangesTests
{
    private const int PageSize = 4096;

    [Test]
    public void Changes_are_runs_of_offset_length_and_bytes()
    {
        var (from, to) = (new byte[PageSize], new byte[PageSize]);
        to[3] = 0xAA;
        to[5] = 0xBB;
        to[0x0A0B] = 0xCC;
        Assert.That(Convert.ToHexString(Write(from, to)!), Is.EqualTo("03000300AA00BB" + "0B0A0100CC"));
        Assert.That(Write(to, to), Is.Empty);
    }

    [Test]
    public void Random_changes_come_back_and_are_not_much_longer_than_what_changed([Values(512, 4096, 65536)] int pageSize, [Range(1, 20)] int seed)
    {
        var random = new Random(seed);
        var from = new byte[pageSize];
        random.NextBytes(from);
        var to = (byte[])from.Clone();
        var changed = 0;
        for (var runs = random.Next(12); runs > 0; runs--)
        {
            var start = random.Next(pageSize);
            var length = Math.Min(random.Next(pageSize / 64), pageSize - start);
            random.NextBytes(to.AsSpan(start, length));
            changed += length + 5;
        }

        if (seed % 4 == 0)
        {
            to[^1] ^= 1;
            to[0] ^= 1;
            changed += 10;
        }

        var changes = Write(from, to)!;
        Assert.That(changes, Has.Length.AtMost(changed));
        PageChanges.Apply(changes, from);
        Assert.That(from, Is.EqualTo(to));
    }

    [Test]
    public void Changes_that_take_more_room_than_there_is_are_not_written()
    {
        var to = new byte[PageSize];
        to.AsSpan(100, 200).Fill(1);
        Assert.That(PageChanges.Write(new byte[PageSize], to, new byte[203]), Is.EqualTo(-1));
        Assert.That(PageChanges.Write(new byte[PageSize], to, new byte[204]), Is.EqualTo(204));
    }

    [TestCase("030001", TestName = "A_run_without_its_length_is_refused")]
    [TestCase("030002000A", TestName = "A_run_that_ends_early_is_refused")]
    [TestCase("03000000", TestName = "An_empty_run_is_refused")]
    [TestCase("FF0F02000A0A", TestName = "A_run_beyond_the_page_is_refused")]
    [TestCase("050001000A" + "050001000B", TestName = "Runs_over_each_other_are_refused")]
    public void Damaged_changes_are_refused(string hex) =>
        Assert.That(() => PageChanges.Apply(Convert.FromHexString(hex), new byte[PageSize]), Throws.TypeOf<InvalidDataException>());

    private static byte[]? Write(byte[] from, byte[] to)
    {
        var destination = new byte[from.Length];
        var length = PageChanges.Write(from, to, destination);
        return length < 0 ? null : destination[..length];
    }
}
