using Dqlite.Simulation.Checking;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Tests.Checking;

/// <summary>Histories of a real execution are always accepted; when something in them is changed they are nearly always rejected.</summary>
internal sealed class GeneratedHistoryTests
{
    private const int Seeds = 300;

    private static readonly Shape[] Shapes =
    [
        new(),
        new() { Clients = 1, Keys = 1 },
        new() { Clients = 16, Keys = 2, Accounts = 10, Operations = 1000, InfoShare = 0.1 },
        new() { Clients = 8, Keys = 20, Operations = 500, CasShare = 0.5, FailShare = 0.2 },
        new() { Clients = 6, Keys = 3, Operations = 500, WeakShare = 0.5 },
    ];

    [Test]
    public void Valid_registers_are_accepted([ValueSource(nameof(Shapes))] Shape shape) => ForEachSeed(seed =>
    {
        var result = RegisterLinearizability.Check(GeneratedHistory.OfRegisters(seed, shape).Record());
        Assert.That(result.Verdict, Is.EqualTo(Verdict.Valid), result.ToString());
    });

    [Test]
    public void Valid_registers_with_few_values_are_accepted()
    {
        var shape = new Shape { Clients = 5, Operations = 300, HasUniqueValues = false, InfoShare = 0.02 };
        ForEachSeed(seed =>
        {
            var result = RegisterLinearizability.Check(GeneratedHistory.OfRegisters(seed, shape).Record());
            Assert.That(result.Verdict, Is.EqualTo(Verdict.Valid), result.ToString());
        });
    }

    [Test]
    public void Valid_list_transactions_are_accepted([ValueSource(nameof(Shapes))] Shape shape) => ForEachSeed(seed =>
    {
        var result = ListAppendSerializability.Check(GeneratedHistory.OfLists(seed, shape).Record());
        Assert.That(result.Verdict, Is.EqualTo(Verdict.Valid), result.ToString());
    });

    [Test]
    public void Valid_banks_are_accepted([ValueSource(nameof(Shapes))] Shape shape) => ForEachSeed(seed =>
    {
        var generated = GeneratedHistory.OfBank(seed, shape);
        var result = BankChecker.Check(generated.Record(), new BankOptions(generated.InitialBalances(), generated.FinalBalances()));
        Assert.That(result.Verdict, Is.EqualTo(Verdict.Valid), result.ToString());
    });

    [Test]
    public void Swapped_reads_are_rejected() => Reject(Registers, Mutation.SwapReads, 0.97);

    [Test]
    public void Stale_reads_are_rejected() => Reject(Registers, Mutation.MakeStale, 1);

    [Test]
    public void Lost_writes_are_rejected() => Reject(Registers, Mutation.LoseWrite, 0.97);

    [Test]
    public void Stale_lists_are_rejected() => Reject(Lists, Mutation.MakeListStale, 1);

    [Test]
    public void Lost_transfers_are_rejected() => Reject(Bank, LoseTransfer, 0.97);

    private static (GeneratedHistory, Func<GeneratedHistory, CheckResult>) Registers(SeededRandom random) =>
        (GeneratedHistory.OfRegisters(random, new Shape()), generated => RegisterLinearizability.Check(generated.Record()));

    private static (GeneratedHistory, Func<GeneratedHistory, CheckResult>) Lists(SeededRandom random) =>
        (GeneratedHistory.OfLists(random, new Shape()), generated => ListAppendSerializability.Check(generated.Record()));

    private static (GeneratedHistory, Func<GeneratedHistory, CheckResult>) Bank(SeededRandom random)
    {
        var generated = GeneratedHistory.OfBank(random, new Shape());
        var options = new BankOptions(generated.InitialBalances(), generated.FinalBalances());
        return (generated, changed => BankChecker.Check(changed.Record(), options));
    }

    /// <summary>A client is told that a transfer took effect which never did.</summary>
    private static bool LoseTransfer(GeneratedHistory generated, SeededRandom random)
    {
        var failed = generated.Plan.FindIndex(planned => planned.Outcome == Outcome.Fail);
        if (failed < 0)
        {
            return false;
        }

        generated.Plan[failed].Outcome = Outcome.Ok;
        return true;
    }

    private static void ForEachSeed(Action<SeededRandom> test)
    {
        for (var seed = 1; seed <= Seeds; seed++)
        {
            try
            {
                test(new SeededRandom((ulong)seed));
            }
            catch
            {
                TestContext.Out.WriteLine($"seed {seed}");
                throw;
            }
        }
    }

    private static void Reject(
        Func<SeededRandom, (GeneratedHistory, Func<GeneratedHistory, CheckResult>)> generate, Func<GeneratedHistory, SeededRandom, bool> mutate, double share)
    {
        var mutated = 0;
        var rejected = 0;
        ForEachSeed(random =>
        {
            var (generated, check) = generate(random);
            if (mutate(generated, random))
            {
                mutated++;
                rejected += check(generated).Verdict == Verdict.Invalid ? 1 : 0;
            }
        });

        TestContext.Out.WriteLine($"seeds 1 to {Seeds}: {mutated} changed, {rejected} rejected");
        Assert.That(mutated, Is.GreaterThan(Seeds / 2));
        Assert.That(rejected, Is.GreaterThanOrEqualTo(mutated * share));
    }
}
