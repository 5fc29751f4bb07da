using Dqlite.Load.Soak;

namespace Dqlite.Load.Tests.Soak;

/// <summary>What is a leak, and what only comes and goes.</summary>
public sealed class GrowthTests
{
    private const int Samples = 60;
    private const double Segment = 16.8;

    [Test]
    public void What_does_not_change_is_steady() => Assert.That(IsFound(_ => 100), Is.False);

    [Test]
    public void Steady_growth_is_found_once_half_of_it_is_more_than_the_allowance()
    {
        // Two thirds of the samples count: 40 of them, so that 0.8 each adds 32 in all.
        Assert.That(IsFound(i => 100 + (0.8 * i)), Is.True);
        Assert.That(IsFound(i => 100 + (0.3 * i)), Is.False);
    }

    [Test]
    public void Growth_under_a_sawtooth_is_found() => Assert.That(IsFound(i => 100 + (1.5 * i) + (20 * (i % 5) / 5.0)), Is.True);

    [Test]
    public void A_sawtooth_is_steady_whatever_its_period()
    {
        for (var period = 2; period <= Samples / 4; period++)
        {
            Assert.That(IsFound(i => 100 + (100.0 * (i % period) / period)), Is.False, $"period {period}");
        }
    }

    [Test]
    public void Segments_that_come_and_go_on_three_nodes_are_steady()
    {
        // The rate falls, so that each step takes longer than the one before it, and a straight line would rise.
        Assert.That(IsFound(i => Segment * (3 + (i * i / 300 % 2) + (i > 50 ? 3 : 0)), bound: 6 * Segment), Is.False);
    }

    [Test]
    public void A_log_that_is_never_compacted_is_found() => Assert.That(IsFound(i => Segment * (3 + (i / 2)), bound: 6 * Segment), Is.True);

    [Test]
    public void A_single_high_sample_is_no_growth() => Assert.That(IsFound(i => i == Samples - 3 ? 500 : 100), Is.False);

    [Test]
    public void What_grows_while_the_process_warms_up_and_then_stays_is_steady() => Assert.That(IsFound(i => Math.Min(i, Samples / 3) * 10), Is.False);

    [Test]
    public void What_shrinks_is_no_growth() => Assert.That(IsFound(i => 1000 - (10 * i)), Is.False);

    [Test]
    public void A_step_that_stays_is_growth() => Assert.That(IsFound(i => i > Samples * 3 / 4 ? 150 : 100), Is.True);

    [TestCase(0)]
    [TestCase(8)]
    public void A_few_samples_say_nothing(int count) => Assert.That(Growth.Judge(new double[count], 0), Is.Null);

    private static bool IsFound(Func<int, double> sample, double bound = 0) => Growth.Judge([.. Enumerable.Range(0, Samples).Select(sample)], bound)!.IsFound;
}
