using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Dqlite.Simulation.Mutants;

namespace Dqlite.Simulation.Tests.Mutants;

/// <summary>The catalog says what the code holds.</summary>
public sealed partial class MutantCatalogTests
{
    [Test]
    public void Every_switch_of_the_production_code_is_in_the_catalog_and_the_other_way_round()
    {
        var known = MutantCatalog.All.Where(mutant => mutant is { NotApplicable: null, IsNative: false, IsInWorld: false }).Select(mutant => mutant.Id);
        Assert.That(SwitchesIn("src"), Is.EquivalentTo(known));
    }

    [Test]
    public void Every_switch_of_the_simulated_world_is_in_the_catalog_and_the_other_way_round() =>
        Assert.That(SwitchesIn("tests", "Dqlite.Simulation"), Is.EquivalentTo(MutantCatalog.All.Where(mutant => mutant.IsInWorld).Select(mutant => mutant.Id)));

    [Test]
    public void Every_rule_has_a_mutant_or_a_reason_why_not()
    {
        for (var rule = 1; rule <= 48; rule++)
        {
            Assert.That(MutantCatalog.Find($"R{rule}"), Is.Not.Null, $"R{rule}");
        }
    }

    [Test]
    public void Every_id_stands_once() => Assert.That(MutantCatalog.All.Select(mutant => mutant.Id), Is.Unique);

    [Test]
    public void Every_mutant_that_applies_says_how_it_shows() =>
        Assert.That(MutantCatalog.All.Where(mutant => mutant.NotApplicable is null), Has.All.Matches<KnownMutant>(mutant => mutant.Rule.EndsWith('.') && mutant.HowItShows.EndsWith('.')));

    [Test]
    public void A_mutant_of_the_shim_needs_the_full_tier() =>
        Assert.That(MutantCatalog.All.Where(mutant => mutant.IsNative), Has.All.Matches<KnownMutant>(mutant => mutant.Tier == MutantTier.Full));

    private static string[] SwitchesIn(params string[] folder) =>
    [
        .. Directory.EnumerateFiles(Path.Combine([Root(), .. folder]), "*.cs", SearchOption.AllDirectories)
            .Where(path => !path.Split(Path.DirectorySeparatorChar).Any(part => part is "obj" or "bin"))
            .SelectMany(path => Switch().Matches(File.ReadAllText(path)))
            .Select(match => match.Groups[1].Value)
            .Distinct(),
    ];

    [GeneratedRegex("""Mutant\.Is\("([^"]+)"\)""")]
    private static partial Regex Switch();

    private static string Root([CallerFilePath] string file = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, "..", "..", ".."));
}
