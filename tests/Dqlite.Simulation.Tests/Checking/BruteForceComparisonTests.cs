using System.Globalization;
using Dqlite.Simulation.Checking;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Tests.Checking;

/// <summary>
/// The checkers against the definition, on thousands of small histories, most of them changed at random. CHECKER_SEEDS=N runs more of them.
/// </summary>
internal sealed class BruteForceComparisonTests
{
    private static readonly int Seeds = int.Parse(Environment.GetEnvironmentVariable("CHECKER_SEEDS") ?? "20000", CultureInfo.InvariantCulture);

    [Test]
    public void Zones_agree_with_brute_force() => Compare(
        new Shape { Clients = 3, Operations = 7, Keys = 1, InfoShare = 0.2, WeakShare = 0.3 }, GeneratedHistory.OfRegisters, IsLinearizable);

    [Test]
    public void Zones_with_many_cas_agree_with_brute_force() => Compare(
        new Shape { Clients = 3, Operations = 7, Keys = 1, InfoShare = 0.2, CasShare = 0.7 }, GeneratedHistory.OfRegisters, IsLinearizable);

    [Test]
    public void The_search_agrees_with_brute_force() => Compare(
        new Shape { Clients = 3, Operations = 7, Keys = 1, InfoShare = 0.3, HasUniqueValues = false },
        GeneratedHistory.OfRegisters,
        history => IsLinearizable(history, new RegisterOptions(AlwaysSearch: true)));

    [Test]
    public void The_search_over_two_keys_agrees_with_brute_force() => Compare(
        new Shape { Clients = 4, Operations = 7, Keys = 2, InfoShare = 0.3, HasUniqueValues = false, CasShare = 0.4 },
        GeneratedHistory.OfRegisters,
        history => IsLinearizable(history, new RegisterOptions()));

    [Test]
    public void The_search_agrees_with_zones() => Compare(
        new Shape { Clients = 5, Operations = 30, Keys = 1, InfoShare = 0.1, CasShare = 0.4 },
        GeneratedHistory.OfRegisters,
        history => IsLinearizable(history, new RegisterOptions(AlwaysSearch: true)),
        IsLinearizable);

    [Test]
    public void List_transactions_agree_with_brute_force() => Compare(
        new Shape { Clients = 3, Operations = 5, Keys = 2, InfoShare = 0.2, MaxSteps = 3 }, GeneratedHistory.OfLists, IsSerializable);

    [Test]
    public void List_transactions_with_weak_reads_agree_with_brute_force() => Compare(
        new Shape { Clients = 3, Operations = 6, Keys = 2, InfoShare = 0.2, MaxSteps = 3, WeakShare = 0.6 }, GeneratedHistory.OfLists, IsSerializable);

    private static bool IsLinearizable(History history) => IsLinearizable(history, new RegisterOptions());

    private static bool IsLinearizable(History history, RegisterOptions options)
    {
        var result = RegisterLinearizability.Check(history, options);
        Assert.That(result.Verdict, Is.Not.EqualTo(Verdict.Unknown), result.ToString());
        return result.Verdict == Verdict.Valid;
    }

    private static bool IsSerializable(History history) => ListAppendSerializability.Check(history).Verdict == Verdict.Valid;

    private static void Compare(Shape shape, Func<SeededRandom, Shape, GeneratedHistory> generate, Func<History, bool> check, Func<History, bool>? truth = null)
    {
        var valid = 0;
        for (var seed = 1; seed <= Seeds; seed++)
        {
            var random = new SeededRandom((ulong)seed);
            var generated = generate(random, shape);
            for (var mutations = seed % 4; mutations > 0; mutations--)
            {
                Mutation.Any(generated, random);
            }

            var history = generated.Record();
            var expected = (truth ?? BruteForce.IsValid)(history);
            valid += expected ? 1 : 0;
            Assert.That(check(history), Is.EqualTo(expected), () => $"seed {seed}:\n{string.Join('\n', history.Entries.Select(HistoryText.Describe))}");
        }

        TestContext.Out.WriteLine($"seeds 1 to {Seeds}: {valid} valid, {Seeds - valid} invalid");
        Assert.That(valid, Is.InRange(Seeds / 10, Seeds * 9 / 10), "both kinds have to occur");
    }
}
