using Dqlite.Simulation.CoreTier;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Tests.CoreTier;

public sealed class XxHash64Tests
{
    [TestCase(512)]
    [TestCase(4096)]
    [TestCase(65536)]
    public void Pages_have_the_checksums_that_the_shim_gives_them(int pageSize)
    {
        var random = new SeededRandom(1);
        var page = new byte[pageSize];
        for (uint number = 1; number < 50; number += 7)
        {
            random.Fill(page);
            Assert.That(XxHash64.OfPage(number, page), Is.EqualTo(PageChecksum.Compute(number, page)));
        }
    }

    [Test]
    public void Short_inputs_have_the_published_hashes()
    {
        Assert.That(XxHash64.Compute([], 0), Is.EqualTo(0xEF46DB3751D8E999));
        Assert.That(XxHash64.Compute("a"u8, 0), Is.EqualTo(0xD24EC4F1A98C6E5B));
        Assert.That(XxHash64.Compute("abc"u8, 0), Is.EqualTo(0x44BC2CF5AD770999));
    }

    [Test]
    public void The_header_of_the_sums_is_that_of_the_shim()
    {
        using var directory = new TemporaryDirectory();
        PageDatabase.CreateFiles(directory.File("x.db"), directory.File("x.sums"), 512, 0);
        Assert.That(File.ReadAllBytes(directory.File("x.sums"))[..32], Is.EqualTo(SumsFormat.Header(512)));
    }
}
