namespace Dqlite.Simulation.Tests.FullTier;

/// <summary>Random transactions, fences, checkpoints and waits, each in the middle of others.</summary>
[TestFixture(512)]
[TestFixture(4096)]
public sealed class RandomTests(int pageSize) : FullTierFixture
{
    private const int Steps = 1500;

    protected override int PageSize => pageSize;

    [Test]
    public void Every_result_is_that_of_its_snapshot_and_nodes_stay_the_same([Range(1, 10)] int seed)
    {
        using var world = new RandomWorld(this, (ulong)seed);
        for (var i = 0; i < Steps; i++)
        {
            world.Step();
            Tier.ThrowIfDefect();
        }

        world.Finish();
        TestContext.Out.WriteLine($"seed {seed}: {string.Join(", ", world.Counts.Select(pair => $"{pair.Value} {pair.Key}"))}");
        Assert.That(world.Counts, Contains.Key("draft").And.ContainKey("plain draft").And.ContainKey("plain read").And.ContainKey("inside a call").And.ContainKey("refused 10506"));
    }
}
