using Dqlite.Simulation.Fuzzing;

namespace Dqlite.Simulation.Tests.Fuzzing;

/// <summary>Every input that was ever a find, and nasty ones that were made by hand: Corpus/TARGET/*.bin.</summary>
public sealed class CorpusTests
{
    private static string Root => Path.Combine(TestContext.CurrentContext.TestDirectory, "Fuzzing", "Corpus");

    [Test]
    public void Every_target_has_a_corpus() =>
        Assert.That(Directory.GetDirectories(Root).Select(Path.GetFileName), Is.EquivalentTo(FuzzTargets.All.Select(target => target.Name)));

    [TestCaseSource(nameof(Targets))]
    public void An_input_of_the_corpus_is_parsed_or_refused_and_nothing_else(string name)
    {
        var target = FuzzTargets.Find(name)[0];
        var files = Directory.GetFiles(Path.Combine(Root, name));
        Assert.That(files, Is.Not.Empty);
        Assert.Multiple(() =>
        {
            foreach (var file in files.Order(StringComparer.Ordinal))
            {
                var result = FuzzRunner.Try(target, File.ReadAllBytes(file));
                Assert.That(result.Verdict, Is.Not.EqualTo(FuzzVerdict.Find), $"{Path.GetFileName(file)}: {result.Text}");
            }
        });
    }

    private static IEnumerable<string> Targets() => FuzzTargets.All.Select(target => target.Name);
}
