using System.Diagnostics;
using Dqlite.Simulation.Checking;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Tests.Checking;

/// <summary>The checkers run thousands of times a day: a history of a run may cost milliseconds, and no more than in proportion to its length.</summary>
internal sealed class CheckerSpeedTests
{
    private const int Rounds = 20;

    [TestCase(2_000, 50)]
    [TestCase(20_000, 500)]
    public void Registers_are_checked_fast(int operations, int boundMs)
    {
        var history = GeneratedHistory.OfRegisters(new SeededRandom(1), Shape(operations)).Record();
        Measure(boundMs, () => RegisterLinearizability.Check(history));
    }

    [TestCase(2_000, 50)]
    [TestCase(20_000, 2_000)]
    public void List_transactions_are_checked_fast(int operations, int boundMs)
    {
        var history = GeneratedHistory.OfLists(new SeededRandom(1), Shape(operations)).Record();
        Measure(boundMs, () => ListAppendSerializability.Check(history));
    }

    [TestCase(2_000, 50)]
    [TestCase(20_000, 500)]
    public void Banks_are_checked_fast(int operations, int boundMs)
    {
        var generated = GeneratedHistory.OfBank(new SeededRandom(1), Shape(operations) with { Accounts = 10, InfoShare = 200.0 / operations });
        var history = generated.Record();
        var options = new BankOptions(generated.InitialBalances(), generated.FinalBalances());
        Measure(boundMs, () => BankChecker.Check(history, options));
    }

    [Test]
    public void Registers_with_few_values_are_checked_fast()
    {
        var shape = Shape(2_000) with { HasUniqueValues = false, InfoShare = 0.01 };
        var history = GeneratedHistory.OfRegisters(new SeededRandom(1), shape).Record();
        Measure(500, () => RegisterLinearizability.Check(history));
    }

    [Test]
    public void A_long_history_with_a_cycle_is_explained_fast()
    {
        var generated = GeneratedHistory.OfLists(new SeededRandom(1), Shape(20_000));
        Assert.That(Mutation.MakeListStale(generated, new SeededRandom(2)), Is.True);
        var history = generated.Record();
        Measure(5_000, () => ListAppendSerializability.Check(history), Verdict.Invalid);
    }

    /// <summary>About one key for 100 operations, as the workloads have it.</summary>
    private static Shape Shape(int operations) => new() { Clients = 16, Operations = operations, Keys = operations / 100, InfoShare = 0.02 };

    private static void Measure(int boundMs, Func<CheckResult> check, Verdict expected = Verdict.Valid)
    {
        var best = double.MaxValue;
        for (var round = 0; round < Rounds && (round < 3 || best > boundMs / 10.0); round++)
        {
            var started = Stopwatch.GetTimestamp();
            var result = check();
            best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            Assert.That(result.Verdict, Is.EqualTo(expected), result.ToString());
        }

        TestContext.Out.WriteLine($"best of several: {best:0.00} ms");
        Assert.That(best, Is.LessThan(boundMs));
    }
}
