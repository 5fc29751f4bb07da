using Dqlite.Simulation.Checking;
using static Dqlite.Simulation.Tests.Checking.Script;

namespace Dqlite.Simulation.Tests.Checking;

/// <summary>Transactions on lists by hand, one history for each anomaly.</summary>
internal sealed class ListAppendSerializabilityTests
{
    [Test]
    public void An_empty_history_is_valid() => Accept(new Script());

    [Test]
    public void Transactions_one_after_the_other_are_valid() => Accept(new Script()
        .Transaction(0, 0, 10, Saw(1), Append(1, 1), Saw(1, 1))
        .Transaction(1, 20, 30, Append(1, 2), Append(2, 1))
        .Transaction(0, 40, 50, Saw(1, 1, 2), Saw(2, 1)));

    [Test]
    public void Concurrent_transactions_may_lie_in_any_order() => Accept(new Script()
        .Transaction(0, 0, 100, Append(1, 1), Saw(2))
        .Transaction(1, 0, 100, Append(2, 1), Saw(1, 1))
        .Transaction(2, 0, 100, Saw(1), Saw(2)));

    [Test]
    public void A_stale_read_after_an_acknowledged_append_is_found()
    {
        var script = new Script()
            .Transaction(0, 0, 10, Append(1, 1))
            .Transaction(0, 20, 30, Append(1, 2))
            .Transaction(1, 40, 50, Saw(1, 1))
            .Transaction(1, 60, 70, Saw(1, 1, 2));
        var result = Reject("G-single-realtime", script);
        Assert.That(result.ToString(), Does.Contain("(rw)").And.Contain("(real time)").And.Contain("it read key 1 without the 2"));
    }

    [Test]
    public void A_lost_append_is_found()
    {
        var script = new Script().Transaction(0, 0, 10, Append(1, 1)).Transaction(0, 20, 30, Append(1, 2)).Transaction(1, 40, 50, Saw(1, 2));
        Assert.That(Reject("lost-append", script).Summary, Does.StartWith("1 was appended to key 1"));
    }

    [Test]
    public void A_lost_update_is_found() => Reject(
        "G-single",
        new Script()
            .Transaction(0, 0, 100, Saw(1), Append(1, 1))
            .Transaction(1, 0, 100, Saw(1), Append(1, 2))
            .Transaction(2, 0, 100, Saw(1, 1, 2)));

    [Test]
    public void A_lost_update_that_nobody_read_is_found() => Reject(
        "G2",
        new Script().Transaction(0, 0, 100, Saw(1), Append(1, 1)).Transaction(1, 0, 100, Saw(1), Append(1, 2)));

    [Test]
    public void A_transaction_that_read_and_appended_and_was_not_read_is_valid() => Accept(new Script()
        .Transaction(0, 0, 100, Saw(1), Append(1, 1))
        .Transaction(1, 0, 100, Append(1, 2))
        .Transaction(2, 0, 100, Saw(1)));

    [Test]
    public void Write_skew_is_found()
    {
        var script = new Script()
            .Transaction(0, 0, 100, Saw(1), Append(2, 1))
            .Transaction(1, 0, 100, Saw(2), Append(1, 1))
            .Transaction(2, 110, 120, Saw(1, 1), Saw(2, 1));
        var result = Reject("G2", script);
        Assert.That(result.Details, Has.Count.EqualTo(4));
    }

    [Test]
    public void A_real_time_violation_that_is_serializable_is_found() => Reject(
        "G-single-realtime",
        new Script()
            .Transaction(0, 0, 10, Append(1, 1))
            .Transaction(1, 20, 30, Saw(1))
            .Transaction(2, 40, 50, Saw(1, 1)));

    [Test]
    public void Writes_against_real_time_are_found() => Reject(
        "G0-realtime",
        new Script().Transaction(0, 0, 10, Append(1, 1)).Transaction(1, 20, 30, Append(1, 2)).Transaction(2, 40, 50, Saw(1, 2, 1)));

    [Test]
    public void A_read_from_the_future_is_found() =>
        Reject("G1c-realtime", new Script().Transaction(0, 0, 10, Saw(1, 1)).Transaction(1, 20, 30, Append(1, 1)));

    [Test]
    public void Writes_in_a_circle_are_found() => Reject(
        "G0",
        new Script()
            .Transaction(0, 0, 100, Append(1, 1), Append(2, 1))
            .Transaction(1, 0, 100, Append(1, 2), Append(2, 2))
            .Transaction(2, 110, 120, Saw(1, 1, 2), Saw(2, 2, 1)));

    [Test]
    public void Information_in_a_circle_is_found() => Reject(
        "G1c",
        new Script().Transaction(0, 0, 100, Append(1, 1), Saw(2, 1)).Transaction(1, 0, 100, Append(2, 1), Saw(1, 1)));

    [Test]
    public void A_fractured_read_is_found() => Reject(
        "G-single",
        new Script()
            .Transaction(0, 0, 100, Append(1, 1), Append(2, 1))
            .Transaction(1, 0, 100, Saw(1, 1), Saw(2))
            .Transaction(2, 0, 100, Saw(2, 1)));

    [Test]
    public void A_long_fork_is_found() => Reject(
        "G2",
        new Script()
            .Transaction(0, 0, 100, Append(1, 1))
            .Transaction(1, 0, 100, Append(2, 1))
            .Transaction(2, 0, 100, Saw(1, 1), Saw(2))
            .Transaction(3, 0, 100, Saw(1), Saw(2, 1)));

    [Test]
    public void A_read_of_an_aborted_value_is_found() =>
        Reject("G1a", new Script().Transaction(0, 0, 10, Outcome.Fail, Append(1, 1)).Transaction(1, 20, 30, Saw(1, 1)));

    [Test]
    public void A_read_of_a_value_that_nobody_appended_is_found() =>
        Reject("never-appended", new Script().Transaction(0, 0, 10, Append(1, 1)).Transaction(1, 20, 30, Saw(1, 1, 5)));

    [Test]
    public void A_duplicated_append_is_found() =>
        Reject("duplicate-append", new Script().Transaction(0, 0, 10, Append(1, 1)).Transaction(1, 20, 30, Saw(1, 1, 1)));

    [Test]
    public void An_intermediate_read_is_found()
    {
        Reject(
            "G1b",
            new Script()
                .Transaction(0, 0, 100, Append(1, 1), Append(1, 2))
                .Transaction(1, 0, 100, Saw(1, 1))
                .Transaction(2, 110, 120, Saw(1, 1, 2)));
        Reject("G1b", new Script().Transaction(0, 0, 100, Append(1, 1), Append(1, 2)).Transaction(1, 0, 100, Saw(1, 1)));
    }

    [Test]
    public void Half_a_transaction_is_found() => Reject(
        "partial-transaction",
        new Script().Transaction(0, 0, 10, Append(1, 1), Append(1, 2)).Transaction(1, 20, 30, Append(1, 3)).Transaction(2, 40, 50, Saw(1, 2, 3)));

    [Test]
    public void Appends_of_one_transaction_in_the_wrong_order_are_found() => Reject(
        "reordered-appends",
        new Script().Transaction(0, 0, 10, Append(1, 1), Append(1, 2)).Transaction(2, 40, 50, Saw(1, 2, 1)));

    [Test]
    public void Reads_that_disagree_about_the_order_are_found()
    {
        var script = new Script()
            .Transaction(0, 0, 100, Append(1, 1))
            .Transaction(1, 0, 100, Append(1, 2))
            .Transaction(2, 110, 120, Saw(1, 1, 2))
            .Transaction(3, 110, 120, Saw(1, 2));
        Assert.That(Reject("incompatible-order", script).Summary, Does.Contain("agree on 0 values"));
    }

    [Test]
    public void A_transaction_that_does_not_see_its_own_append_is_found()
    {
        Reject("internal", new Script().Transaction(0, 0, 10, Append(1, 1), Saw(1)));
        Reject("internal", new Script().Transaction(0, 0, 10, Append(1, 1), Append(1, 2), Saw(1, 2)));
        Reject("internal", new Script().Transaction(0, 0, 10, Saw(1), Saw(1, 1)).Transaction(1, 0, 10, Append(1, 1)));
        Reject("internal", new Script().Transaction(0, 0, 10, Saw(1, 1), Append(1, 1)).Transaction(1, 20, 30, Saw(1, 1)));
    }

    [Test]
    public void A_transaction_may_read_its_own_appends_in_between() => Accept(new Script()
        .Transaction(0, 0, 10, Append(1, 1), Saw(1, 1), Append(1, 2))
        .Transaction(1, 20, 30, Append(1, 3)));

    [TestCase(Outcome.Info)]
    [TestCase(Outcome.Open)]
    public void An_uncertain_transaction_may_take_effect_late_or_never(Outcome outcome)
    {
        Accept(new Script().Transaction(0, 0, 10, outcome, Append(1, 1)).Transaction(1, 20, 30, Saw(1)).Transaction(1, 40, 50, Saw(1, 1)));
        Accept(new Script().Transaction(0, 0, 10, outcome, Append(1, 1)).Transaction(1, 20, 30, Saw(1)).Transaction(1, 40, 50, Saw(1)));
    }

    [Test]
    public void An_uncertain_transaction_takes_effect_as_a_whole()
    {
        Accept(new Script()
            .Transaction(0, 0, 10, Outcome.Info, Append(1, 1), Append(2, 1))
            .Transaction(1, 20, 30, Saw(1, 1))
            .Transaction(1, 40, 50, Saw(2, 1)));
        Reject("G-single-realtime", new Script()
            .Transaction(0, 0, 10, Outcome.Info, Append(1, 1), Append(2, 1))
            .Transaction(1, 20, 30, Saw(1, 1))
            .Transaction(1, 40, 50, Saw(2)));
    }

    [Test]
    public void An_uncertain_transaction_takes_no_effect_before_its_invocation() =>
        Reject("G1c-realtime", new Script().Transaction(1, 0, 10, Saw(1, 1)).Transaction(0, 20, 30, Outcome.Info, Append(1, 1)));

    [Test]
    public void An_uncertain_transaction_does_not_take_effect_twice() => Reject(
        "duplicate-append",
        new Script().Transaction(0, 0, 10, Outcome.Info, Append(1, 1)).Transaction(1, 20, 30, Append(1, 2)).Transaction(1, 40, 50, Saw(1, 1, 2, 1)));

    [Test]
    public void A_local_read_may_be_old()
    {
        var script = new Script()
            .Transaction(0, 0, 10, Append(1, 1))
            .Transaction(0, 20, 30, Append(1, 2))
            .Transaction(1, 40, 50, ReadLevel.Local, Saw(1, 1))
            .Transaction(1, 60, 70, ReadLevel.Local, Saw(1))
            .Transaction(1, 80, 90, Saw(1, 1, 2));
        Accept(script);
    }

    [Test]
    public void A_local_read_sees_one_state() => Reject(
        "G-single",
        new Script()
            .Transaction(0, 0, 10, Append(1, 1), Append(2, 1))
            .Transaction(1, 20, 30, ReadLevel.Local, Saw(1, 1), Saw(2))
            .Transaction(1, 40, 50, Saw(1, 1), Saw(2, 1)));

    [Test]
    public void What_a_local_read_saw_is_seen_by_whoever_comes_after_it() => Reject(
        "G-single-realtime",
        new Script()
            .Transaction(0, 0, 10, Outcome.Info, Append(1, 1))
            .Transaction(1, 20, 30, ReadLevel.Local, Saw(1, 1))
            .Transaction(2, 40, 50, Saw(1)));

    [Test]
    public void The_level_of_a_transaction_that_appends_means_nothing() => Reject(
        "G-single-realtime",
        new Script()
            .Transaction(0, 0, 10, Append(1, 1))
            .Transaction(1, 20, 30, ReadLevel.Local, Saw(1), Append(2, 1))
            .Transaction(1, 40, 200, Saw(1, 1)));

    [Test]
    public void A_session_read_may_be_older_than_what_others_wrote() => Accept(new Script()
        .Transaction(0, 0, 10, Append(1, 1))
        .Transaction(1, 20, 30, ReadLevel.Session, Saw(1))
        .Transaction(1, 40, 50, ReadLevel.Session, Saw(1, 1)));

    [Test]
    public void A_session_reads_its_own_writes() => Reject(
        "G-single-session",
        new Script()
            .Transaction(0, 0, 10, Append(1, 1))
            .Transaction(0, 20, 30, ReadLevel.Session, Saw(1))
            .Transaction(0, 40, 50, Saw(1, 1)));

    [Test]
    public void A_session_never_goes_back() => Reject(
        "G-single-session",
        new Script()
            .Transaction(0, 0, 10, Append(1, 1))
            .Transaction(1, 20, 30, ReadLevel.Session, Saw(1, 1))
            .Transaction(1, 40, 50, ReadLevel.Session, Saw(1)));

    [Test]
    public void Local_reads_of_a_session_may_go_back() => Accept(new Script()
        .Transaction(0, 0, 10, Append(1, 1))
        .Transaction(1, 20, 30, ReadLevel.Local, Saw(1, 1))
        .Transaction(1, 40, 50, ReadLevel.Local, Saw(1))
        .Transaction(1, 60, 70, ReadLevel.Session, Saw(1)));

    [Test]
    public void Values_that_are_appended_twice_by_the_workload_are_not_judged() =>
        Assert.That(
            ListAppendSerializability.Check(new Script().Transaction(0, 0, 10, Append(1, 1)).Transaction(1, 20, 30, Append(1, 1)).History).Verdict,
            Is.EqualTo(Verdict.Unknown));

    private static void Accept(Script script) =>
        Assert.That(ListAppendSerializability.Check(script.History).ToString(), Does.Contain(": valid"));

    private static CheckResult Reject(string anomaly, Script script)
    {
        var result = ListAppendSerializability.Check(script.History);
        Assert.That(result.Verdict, Is.EqualTo(Verdict.Invalid), result.ToString());
        Assert.That(result.Anomaly, Is.EqualTo(anomaly), result.ToString());
        return result;
    }
}
