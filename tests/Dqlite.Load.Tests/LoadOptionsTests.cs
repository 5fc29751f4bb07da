using Dqlite.Load.Operations;
using Dqlite.Net;

namespace Dqlite.Load.Tests;

/// <summary>What the command line means, and what is refused before anything is started.</summary>
public sealed class LoadOptionsTests
{
    [Test]
    public void Reads_are_linearizable_on_the_leader_by_both_apis_unless_said_otherwise()
    {
        var options = Parse("--workload select");
        Assert.That((options.Level, options.On), Is.EqualTo((ReadConsistency.Linearizable, Place.Leader)));
        Assert.That(options.Apis, Is.EqualTo(new[] { Api.Dqlite, Api.Plain }));
    }

    [Test]
    public void A_level_that_plain_connections_do_not_know_is_measured_without_them() =>
        Assert.That(Parse("--workload select --level session --on all").Apis, Is.EqualTo(new[] { Api.Dqlite }));

    [TestCase("--workload nonsense", "--workload")]
    [TestCase("--clients 0", "--clients")]
    [TestCase("--clients 1,,4", "--clients")]
    [TestCase("--seconds 0", "--seconds")]
    [TestCase("--rounds -1", "--rounds")]
    [TestCase("--api other", "--api")]
    [TestCase("--json /", "--json")]
    [TestCase("--svg /nowhere/at/all.svg", "--svg")]
    [TestCase("--dir /dev/null/data", "--dir")]
    [TestCase("--level strong", "--level")]
    [TestCase("--on moon", "--on")]
    [TestCase("--workload insert --on followers", "select")]
    [TestCase("--workload mixed --level local", "select")]
    [TestCase("--workload select --on followers --nodes 1", "--nodes")]
    [TestCase("--workload select --level bounded --api dqlite,plain", "plain")]
    [TestCase("--nonsense", "--nonsense")]
    [TestCase("--json", "--json")]
    public void What_cannot_be_measured_is_refused_by_name(string line, string named) =>
        Assert.That(() => Parse(line), Throws.ArgumentException.With.Message.Contains(named));

    private static LoadOptions Parse(string line) => LoadOptions.Parse(line.Split(' '));
}
