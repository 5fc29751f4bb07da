using Dqlite.Simulation.Checking;

namespace Dqlite.Simulation.Tests.Checking;

/// <summary>Ledgers by hand: tags 1 and 2 of client 0, tag 3 of client 1.</summary>
internal sealed class LedgerTests
{
    [Test]
    public void Acknowledged_tags_that_are_there_are_valid() => Accept(Written(Outcome.Ok, Outcome.Ok, Outcome.Ok), 1, 2, 3);

    [Test]
    public void A_missing_acknowledged_tag_is_found()
    {
        var result = Reject("lost-write", Written(Outcome.Ok, Outcome.Ok, Outcome.Ok), 1, 3);
        Assert.That(result.ToString(), Does.Contain("tag 2 of client 0 in 'a', begun 0.000000 s, acknowledged"));
    }

    [Test]
    public void A_database_that_is_not_given_counts_as_empty() =>
        Assert.That(LedgerCheck.Run(Written(Outcome.Ok, Outcome.Ok, Outcome.Ok), []).Anomaly, Is.EqualTo("lost-write"));

    [Test]
    public void A_tag_that_is_there_twice_is_found()
    {
        Reject("duplicate-write", Written(Outcome.Ok, Outcome.Ok, Outcome.Ok), 1, 2, 3, 1);
        Reject("duplicate-write", Written(Outcome.Info, Outcome.Ok, Outcome.Ok), 1, 2, 3, 1);
    }

    [Test]
    public void A_failed_tag_that_is_there_is_found() => Reject("failed-write-present", Written(Outcome.Fail, Outcome.Ok, Outcome.Ok), 1, 2, 3);

    [Test]
    public void A_failed_tag_that_is_not_there_is_valid() => Accept(Written(Outcome.Fail, Outcome.Ok, Outcome.Ok), 2, 3);

    [TestCase(Outcome.Info)]
    [TestCase(Outcome.Open)]
    public void An_uncertain_tag_may_be_there_or_not(Outcome outcome)
    {
        Accept(Written(outcome, Outcome.Ok, Outcome.Ok), 1, 2, 3);
        Accept(Written(outcome, Outcome.Ok, Outcome.Ok), 2, 3);
    }

    [Test]
    public void A_tag_that_nobody_inserted_is_found() => Reject("never-written", Written(Outcome.Ok, Outcome.Ok, Outcome.Ok), 1, 2, 3, 4);

    [Test]
    public void A_tag_in_another_database_is_found()
    {
        var result = LedgerCheck.Run(Written(Outcome.Ok, Outcome.Ok, Outcome.Ok), [new LedgerState("a", [1, 2]), new LedgerState("b", [3])]);
        Assert.That(result.Anomaly, Is.EqualTo("wrong-database"));
    }

    [Test]
    public void Tags_of_one_client_in_the_wrong_order_are_found() => Reject("wrong-order", Written(Outcome.Ok, Outcome.Ok, Outcome.Ok), 2, 1, 3);

    [Test]
    public void An_uncertain_tag_may_come_late_but_not_before_what_was_acknowledged()
    {
        Accept(Written(Outcome.Info, Outcome.Ok, Outcome.Ok), 2, 1, 3);
        Reject("wrong-order", Written(Outcome.Ok, Outcome.Info, Outcome.Ok), 2, 1, 3);
    }

    [Test]
    public void Tags_of_different_clients_are_ordered_only_when_asked_for()
    {
        var ledger = Written(Outcome.Ok, Outcome.Ok, Outcome.Ok);
        Accept(ledger, 3, 1, 2);
        var result = LedgerCheck.Run(ledger, [new LedgerState("a", [3, 1, 2])], LedgerOrder.AcrossClients);
        Assert.That(result.Anomaly, Is.EqualTo("wrong-order"));
    }

    [Test]
    public void The_worst_fault_names_the_result_and_all_are_listed()
    {
        var result = Reject("lost-write", Written(Outcome.Ok, Outcome.Fail, Outcome.Ok), 2, 3, 3);
        Assert.That(
            result.Details.Where(line => !line.StartsWith(' ')),
            Is.EqualTo(new[] { "1 acknowledged tags are missing:", "1 tags are there more than once:", "1 tags of failed inserts are there:" }));
    }

    [Test]
    public void A_tag_cannot_be_inserted_twice_by_the_workload()
    {
        var ledger = new Ledger(() => 0);
        ledger.Begin(0, "a", 1);
        Assert.That(() => ledger.Begin(0, "a", 1), Throws.ArgumentException);
    }

    [Test]
    public void An_insert_ends_once()
    {
        var ledger = new Ledger(() => 0);
        var id = ledger.Begin(0, "a", 1);
        ledger.Ok(id);
        Assert.That(() => ledger.Fail(id), Throws.InvalidOperationException);
    }

    private static Ledger Written(params Outcome[] outcomes)
    {
        var ledger = new Ledger(() => 0);
        for (var i = 0; i < outcomes.Length; i++)
        {
            var id = ledger.Begin(i / 2, "a", i + 1);
            switch (outcomes[i])
            {
                case Outcome.Ok:
                    ledger.Ok(id);
                    break;
                case Outcome.Fail:
                    ledger.Fail(id);
                    break;
                case Outcome.Info:
                    ledger.Info(id);
                    break;
                case Outcome.Open:
                    break;
            }
        }

        return ledger;
    }

    private static void Accept(Ledger ledger, params long[] tags) =>
        Assert.That(LedgerCheck.Run(ledger, [new LedgerState("a", tags)]).ToString(), Does.Contain(": valid"));

    private static CheckResult Reject(string anomaly, Ledger ledger, params long[] tags)
    {
        var result = LedgerCheck.Run(ledger, [new LedgerState("a", tags)]);
        Assert.That(result.Anomaly, Is.EqualTo(anomaly), result.ToString());
        Assert.That(result.Verdict, Is.EqualTo(Verdict.Invalid));
        return result;
    }
}
