using Dqlite.Net.Engine;

namespace Dqlite.Net.Tests.Engine;

/// <summary>Golden bytes: when one of these changes, nodes cannot read the log of earlier versions. See docs/formats/entries.md.</summary>
public sealed class EntryCodecTests
{
    [Test]
    public void A_create_entry_holds_name_page_size_and_auto_vacuum()
    {
        var bytes = EntryCodec.Create("app", 4096, autoVacuum: 2, published: true);
        Assert.That(Convert.ToHexString(bytes), Is.EqualTo("01010201" + "00100000" + "03000000" + "617070"));
        Assert.That(EntryCodec.KindOf(bytes), Is.EqualTo(DatabaseEntryKind.Create));
        Assert.That(EntryCodec.ReadCreate(bytes), Is.EqualTo(new CreateEntry("app", 4096, 2, true)));
    }

    [Test]
    public void Drop_and_publish_entries_hold_the_database_id()
    {
        Assert.That(Convert.ToHexString(EntryCodec.Drop(17)), Is.EqualTo("02010000" + "00000000" + "1100000000000000"));
        Assert.That(Convert.ToHexString(EntryCodec.Publish(17)), Is.EqualTo("04010000" + "00000000" + "1100000000000000"));
        Assert.That(EntryCodec.ReadId(EntryCodec.Drop(17)), Is.EqualTo(17));
    }

    [Test]
    public void A_pages_entry_is_a_header_then_page_numbers_then_sizes_then_images()
    {
        var bytes = PagesEntry();
        Assert.That(
            Convert.ToHexString(bytes.AsSpan(0, EntryCodec.PagesHeaderSize + 16)),
            Is.EqualTo("03010000" + "00020000" + "1100000000000000" + "2C01000000000000" + "05000000" + "02000000" + "0807060504030201" + "0100000004000000" + "0002000000020000"));
        Assert.That(bytes, Has.Length.EqualTo(40 + (2 * (8 + 512))));
    }

    [Test]
    public void A_pages_entry_is_read_as_it_was_written()
    {
        var bytes = PagesEntry();
        var header = EntryCodec.ReadPages(bytes);
        Assert.That(header, Is.EqualTo(new PagesHeader(17, 300, 512, 5, 2, 0x0102030405060708, false)));
        Assert.That(EntryCodec.PageNumbers(bytes, header).ToArray(), Is.EqualTo(new uint[] { 1, 4 }));
        var images = EntryCodec.Images(bytes, header).ToArray();
        Assert.That(images[..512], Is.All.EqualTo(0xAA));
        Assert.That(images[512..], Is.All.EqualTo(0xBB));
    }

    [Test]
    public void Previous_index_and_checksum_can_be_filled_in_later()
    {
        var bytes = PagesEntry();
        EntryCodec.SetPrevious(bytes, 301);
        EntryCodec.SetChecksum(bytes, 7);
        Assert.That(EntryCodec.ReadPages(bytes), Is.EqualTo(new PagesHeader(17, 301, 512, 5, 2, 7, false)));
    }

    [TestCase("00010000000000001100000000000000", TestName = "Kind_0_is_refused")]
    [TestCase("06010000000000001100000000000000", TestName = "Kind_6_is_refused")]
    [TestCase("02020000000000001100000000000000", TestName = "Another_version_is_refused")]
    [TestCase("0201000000000000110000", TestName = "A_cut_entry_is_refused")]
    public void An_unknown_entry_is_refused(string hex) => Assert.That(() => EntryCodec.KindOf(Convert.FromHexString(hex)), Throws.TypeOf<InvalidDataException>());

    [Test]
    public void A_wrong_length_is_refused()
    {
        var pages = PagesEntry();
        var create = EntryCodec.Create("app", 4096, 0, true);
        Assert.That(() => EntryCodec.ReadPages(pages.AsSpan(0, pages.Length - 1)), Throws.TypeOf<InvalidDataException>());
        Assert.That(() => EntryCodec.ReadPages(pages.AsSpan(0, 39)), Throws.TypeOf<InvalidDataException>());
        Assert.That(() => EntryCodec.ReadPages(pages.AsSpan(0, 50)), Throws.TypeOf<InvalidDataException>());
        pages[49] = 3;
        Assert.That(() => EntryCodec.ReadPages(pages), Throws.TypeOf<InvalidDataException>());
        Assert.That(() => EntryCodec.ReadCreate(create.AsSpan(0, create.Length - 1)), Throws.TypeOf<InvalidDataException>());
    }

    [Test]
    public void A_part_is_a_header_then_page_numbers_then_sizes_then_bodies()
    {
        var header = new PartHeader(17, 301, 300, 512, 5, 2, 0x0102030405060708, IsLast: true);
        var bytes = Part(header);
        bytes.AsSpan(64, 512).Fill(0xAA);
        Assert.That(
            Convert.ToHexString(bytes.AsSpan(0, PartCodec.HeaderSize + 16)),
            Is.EqualTo("05010100" + "00020000" + "1100000000000000" + "2D01000000000000" + "2C01000000000000" + "05000000" + "02000000" + "0807060504030201" + "0100000004000000" + "0002000000020000"));
        Assert.That(bytes, Has.Length.EqualTo(48 + (2 * (8 + 512))));
        Assert.That(EntryCodec.KindOf(bytes), Is.EqualTo(DatabaseEntryKind.Part));
        Assert.That(PartCodec.Read(bytes), Is.EqualTo(header));
        Assert.That(PartCodec.PageNumbers(bytes, header).ToArray(), Is.EqualTo(new uint[] { 1, 4 }));
        Assert.That(PartCodec.Images(bytes, header)[..512].ToArray(), Is.All.EqualTo(0xAA));
    }

    [Test]
    public void A_part_with_changes_says_so()
    {
        var bytes = Part(new PartHeader(17, 301, 300, 512, 5, 2, 0, IsLast: false)).AsSpan(0, 64 + 512 + 7).ToArray();
        bytes[60] = 7;
        bytes[61] = 0;
        Assert.That(PartCodec.Read(bytes), Is.EqualTo(new PartHeader(17, 301, 300, 512, 5, 2, 0, IsLast: false, HasChanges: true)));
    }

    [Test]
    public void A_damaged_part_is_refused()
    {
        var bytes = Part(new PartHeader(17, 300, 0, 512, 5, 2, 0, IsLast: false));
        Assert.That(() => PartCodec.Read(bytes.AsSpan(0, bytes.Length - 1)), Throws.TypeOf<InvalidDataException>());
        Assert.That(() => PartCodec.Read(bytes.AsSpan(0, 47)), Throws.TypeOf<InvalidDataException>());
        Assert.That(() => PartCodec.Read(bytes.AsSpan(0, 60)), Throws.TypeOf<InvalidDataException>());
        bytes[57] = 3;
        Assert.That(() => PartCodec.Read(bytes), Throws.TypeOf<InvalidDataException>(), "a page of more bytes than a page has");
        bytes[57] = 2;
        bytes[2] = 2;
        Assert.That(() => PartCodec.Read(bytes), Throws.TypeOf<InvalidDataException>(), "an unknown flag");
    }

    /// <summary>Pages 1 and 4, whole.</summary>
    private static byte[] Part(in PartHeader header)
    {
        var bytes = new byte[PartCodec.HeaderSize + PageBodies.WholeSize(header.Pages, header.PageSize)];
        PartCodec.WriteHeader(bytes, header);
        (bytes[48], bytes[52]) = (1, 4);
        PageBodies.SetWhole(bytes.AsSpan(PartCodec.HeaderSize), header.Pages, header.PageSize);
        return bytes;
    }

    private static byte[] PagesEntry()
    {
        var bytes = EntryCodec.AllocatePages(17, 300, 512, 5, 2, 0x0102030405060708);
        bytes.AsSpan(EntryCodec.PagesHeaderSize, 8).Clear();
        bytes[40] = 1;
        bytes[44] = 4;
        bytes.AsSpan(56, 512).Fill(0xAA);
        bytes.AsSpan(56 + 512, 512).Fill(0xBB);
        return bytes;
    }
}
