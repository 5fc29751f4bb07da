using Dqlite.Simulation.Fuzzing;

namespace Dqlite.Simulation.Tests.Fuzzing;

/// <summary>A short run of every target; the command takes more seeds.</summary>
[NonParallelizable]
public sealed class FuzzTargetTests
{
    private const ulong Seeds = 200;

    [TestCaseSource(nameof(Targets))]
    public void Two_hundred_inputs_find_nothing(string name)
    {
        var target = FuzzTargets.Find(name)[0];
        var accepted = 0;
        for (ulong seed = 1; seed <= Seeds; seed++)
        {
            var result = FuzzRunner.Try(target, FuzzCommand.InputOf(target, seed));
            Assert.That(result.Verdict, Is.Not.EqualTo(FuzzVerdict.Find), $"seed {seed}: {result.Text}");
            accepted += result.Verdict == FuzzVerdict.Accepted ? 1 : 0;
        }

        Assert.That(accepted, Is.InRange(1, (int)Seeds - 1), "a target whose inputs are all refused, or all accepted, tries nothing");
    }

    [TestCaseSource(nameof(Targets))]
    public void A_seed_gives_the_same_input_again_and_another_seed_another(string name)
    {
        var target = FuzzTargets.Find(name)[0];
        var inputs = Enumerable.Range(1, 20).Select(seed => FuzzCommand.InputOf(target, (ulong)seed)).ToArray();
        Assert.That(Enumerable.Range(1, 20).Select(seed => FuzzCommand.InputOf(target, (ulong)seed)), Is.EqualTo(inputs));
        Assert.That(inputs.Select(Convert.ToHexString).Distinct().Count(), Is.GreaterThan(15));
    }

    private static IEnumerable<string> Targets() => FuzzTargets.All.Select(target => target.Name);
}
