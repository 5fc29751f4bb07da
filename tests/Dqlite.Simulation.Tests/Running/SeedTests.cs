using Dqlite.Raft;
using Dqlite.Simulation.Mutants;
using Dqlite.Simulation.Running;

namespace Dqlite.Simulation.Tests.Running;

/// <summary>Whole runs: a few seeds of each tier, that they can be repeated, and that known bugs are found. Long campaigns are commands (docs/TESTING.md).</summary>
[NonParallelizable]
public sealed class SeedTests
{
    [TearDown]
    public void SwitchOff()
    {
        Mutant.Active = "";
        Simulation.FullTier.NativeMutant.Set(0);
    }

    [TestCase(false)]
    [TestCase(true)]
    public void The_same_seed_twice_gives_the_same_hash(bool isFull)
    {
        foreach (var seed in new ulong[] { 11, 28, 155 })
        {
            var first = SimulationRun.Run(new RunOptions { Seed = seed, IsFull = isFull });
            var second = SimulationRun.Run(new RunOptions { Seed = seed, IsFull = isFull });
            Assert.That(second.Hash, Is.EqualTo(first.Hash), $"seed {seed}");
            Assert.That(first.Hash, Has.Length.EqualTo(64));
            Assert.That(second.Operations, Is.EqualTo(first.Operations));
        }
    }

    [Test]
    public void Looking_at_a_run_does_not_change_it()
    {
        var blind = SimulationRun.Run(new RunOptions { Seed = 5 });
        var lines = 0;
        var watched = SimulationRun.Run(new RunOptions { Seed = 5, Sink = _ => lines++ });
        Assert.That(watched.Hash, Is.EqualTo(blind.Hash));
        Assert.That(lines, Is.GreaterThan(10));
    }

    [Test]
    public void Another_seed_gives_another_hash() =>
        Assert.That(SimulationRun.Run(new RunOptions { Seed = 1 }).Hash, Is.Not.EqualTo(SimulationRun.Run(new RunOptions { Seed = 2 }).Hash));

    [Test]
    public void Seeds_of_the_core_tier_pass([Range(1, 12)] int seed) => ExpectPass(new RunOptions { Seed = (ulong)seed });

    [Test]
    public void Seeds_of_the_full_tier_pass([Range(1, 6)] int seed) => ExpectPass(new RunOptions { Seed = (ulong)seed, IsFull = true });

    [TestCase("R1")]
    [TestCase("R4")]
    [TestCase("R17")]
    [TestCase("D4")]
    public void A_known_bug_is_found_within_a_few_seeds(string id)
    {
        var mutant = MutantCatalog.Find(id)!;
        mutant.Activate();
        for (ulong seed = 1; seed <= 40; seed++)
        {
            if (SimulationRun.Run(new RunOptions { Seed = seed, Needs = mutant.Needs }).Failure is { } failure)
            {
                TestContext.Out.WriteLine($"seed {seed}: {failure}");
                return;
            }
        }

        Assert.Fail($"{id} survived 40 seeds");
    }

    [Test]
    public void A_failure_needs_fewer_faults_in_the_end()
    {
        var mutant = MutantCatalog.Find("R1")!;
        mutant.Activate();
        var options = new RunOptions { Seed = 1, Needs = mutant.Needs };
        var result = SimulationRun.Run(options);
        Assert.That(result.Failure, Is.Not.Null);
        var kept = Shrinker.Shrink(options, [.. result.Faults.Select(fault => fault.Number)], TimeSpan.FromSeconds(20));
        Assert.That(kept, Has.Count.LessThan(Math.Max(1, result.Faults.Count)).And.Count.LessThanOrEqualTo(50));
        Assert.That(SimulationRun.Run(options with { Faults = kept.ToHashSet() }).Failure, Is.Not.Null, "what is left still fails");
    }

    [Test]
    public void A_mutant_that_does_not_apply_says_so_and_exits_with_3()
    {
        var output = new StringWriter();
        var before = Console.Out;
        Console.SetOut(output);
        try
        {
            Assert.That(RunCommand.Run(["--seeds", "1", "--mutant", "R28"]), Is.EqualTo(3));
        }
        finally
        {
            Console.SetOut(before);
        }

        Assert.That(output.ToString().TrimEnd(), Does.EndWith("not applicable"));
    }

    private static void ExpectPass(RunOptions options)
    {
        var result = SimulationRun.Run(options);
        Assert.That(result.Failure, Is.Null, $"seed {options.Seed}: dotnet run -c Release --project tests/Dqlite.Simulation -- replay --seed {options.Seed}{(options.IsFull ? " --tier full" : "")}");
        Assert.That(result.Operations, Is.GreaterThanOrEqualTo(300));
    }
}
