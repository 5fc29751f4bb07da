using Dqlite.Simulation.Checking;

namespace Dqlite.Simulation.Tests.Checking;

/// <summary>Registers by hand. Each history is judged in both ways, by zones and by search, which have to agree.</summary>
internal sealed class RegisterLinearizabilityTests
{
    [Test]
    public void An_empty_history_is_valid() => Accept(new Script());

    [Test]
    public void A_read_sees_the_write_before_it() => Accept(new Script().Read(0, 0, 10, 1, null).Write(0, 20, 30, 1, 7).Read(1, 40, 50, 1, 7));

    [Test]
    public void A_concurrent_read_may_see_the_old_or_the_new_value()
    {
        Accept(new Script().Write(0, 0, 10, 1, 7).Write(0, 20, 60, 1, 8).Read(1, 30, 40, 1, 7).Read(1, 42, 44, 1, 8));
        Accept(new Script().Write(0, 0, 10, 1, 7).Write(0, 20, 60, 1, 8).Read(1, 30, 40, 1, 7).Read(2, 30, 40, 1, 8));
    }

    [Test]
    public void A_stale_read_after_an_acknowledged_write_is_found()
    {
        var result = Reject("stale-read", new Script().Write(0, 0, 10, 1, 7).Write(0, 20, 30, 1, 8).Read(1, 40, 50, 1, 7));
        Assert.That(result.ToString(), Does.Contain("read key 1 -> 7").And.Contain("cannot be placed").And.Contain("write 8 to key 1"));
    }

    [Test]
    public void A_read_of_nothing_after_an_acknowledged_write_is_found() =>
        Reject("stale-read", new Script().Write(0, 0, 10, 1, 7).Read(1, 40, 50, 1, null));

    [Test]
    public void Reads_that_go_back_are_found() => Reject(
        "stale-read",
        new Script().Write(0, 0, 10, 1, 7).Write(0, 20, 100, 1, 8).Read(1, 30, 40, 1, 8).Read(2, 50, 60, 1, 7));

    [Test]
    public void A_read_of_a_failed_write_is_found() =>
        Reject(null, new Script().Write(0, 0, 10, 1, 7, Outcome.Fail).Read(1, 20, 30, 1, 7));

    [Test]
    public void A_read_of_a_value_that_was_never_written_is_found() => Reject(null, new Script().Write(0, 0, 10, 1, 7).Read(1, 20, 30, 1, 9));

    [Test]
    public void A_read_before_its_write_was_invoked_is_found() => Reject(null, new Script().Read(1, 0, 10, 1, 7).Write(0, 20, 30, 1, 7));

    [Test]
    public void A_lost_write_shows_as_a_read_of_the_value_before() =>
        Reject("stale-read", new Script().Write(0, 0, 10, 1, 7).Read(1, 12, 14, 1, 7).Write(2, 20, 30, 1, 8).Read(1, 40, 50, 1, 7).Write(0, 60, 70, 1, 9));

    [TestCase(Outcome.Info)]
    [TestCase(Outcome.Open)]
    public void An_uncertain_write_may_take_effect_late(Outcome outcome) =>
        Accept(new Script().Write(0, 0, 10, 1, 7).Write(1, 20, 30, 1, 8, outcome).Read(0, 40, 50, 1, 7).Read(0, 60, 70, 1, 8).Read(2, 80, 90, 1, 8));

    [TestCase(Outcome.Info)]
    [TestCase(Outcome.Open)]
    public void An_uncertain_write_may_never_take_effect(Outcome outcome) =>
        Accept(new Script().Write(0, 0, 10, 1, 7).Write(1, 20, 30, 1, 8, outcome).Read(0, 40, 50, 1, 7).Read(0, 60, 70, 1, 7));

    [Test]
    public void An_uncertain_write_does_not_take_effect_twice() => Reject(
        "stale-read",
        new Script().Write(0, 0, 10, 1, 7).Write(1, 20, 30, 1, 8, Outcome.Info).Read(0, 40, 50, 1, 8).Write(0, 60, 70, 1, 9).Read(0, 80, 90, 1, 8));

    [Test]
    public void An_uncertain_write_takes_no_effect_before_its_invocation() =>
        Reject(null, new Script().Read(0, 0, 10, 1, 8).Write(1, 20, 30, 1, 8, Outcome.Info));

    [Test]
    public void Of_two_concurrent_cas_only_one_succeeds()
    {
        Accept(new Script().Write(0, 0, 10, 1, 7).Cas(1, 20, 30, 1, 7, 8).Cas(2, 20, 30, 1, 7, 9, Outcome.Fail).Read(0, 40, 50, 1, 8));
        Reject(null, new Script().Write(0, 0, 10, 1, 7).Cas(1, 20, 30, 1, 7, 8).Cas(2, 20, 30, 1, 7, 9).Read(0, 40, 50, 1, 8));
    }

    [Test]
    public void Concurrent_cas_form_a_chain_in_any_order() =>
        Accept(new Script().Write(0, 0, 10, 1, 7).Cas(1, 20, 60, 1, 8, 9).Cas(2, 20, 60, 1, 7, 8).Read(0, 30, 40, 1, 8).Read(0, 62, 64, 1, 9));

    [Test]
    public void A_cas_that_found_an_overwritten_value_is_found() =>
        Reject("stale-cas", new Script().Write(0, 0, 10, 1, 7).Write(0, 20, 30, 1, 8).Cas(1, 40, 50, 1, 7, 9));

    [Test]
    public void A_read_of_what_a_cas_replaced_is_found() =>
        Reject("stale-read", new Script().Write(0, 0, 10, 1, 7).Cas(1, 20, 30, 1, 7, 8).Read(0, 40, 50, 1, 7));

    [Test]
    public void A_read_that_ended_before_the_beginning_of_its_chain_is_found() =>
        Reject(null, new Script().Read(2, 0, 5, 1, 8).Write(0, 10, 100, 1, 7).Cas(1, 2, 90, 1, 7, 8));

    [Test]
    public void Cas_that_make_each_others_values_are_found() =>
        Reject(null, new Script().Cas(0, 0, 50, 1, 7, 8).Cas(1, 0, 50, 1, 8, 7).Read(2, 60, 70, 1, 7));

    [Test]
    public void A_write_between_a_value_and_its_cas_is_found() => Reject(
        null,
        new Script().Write(0, 0, 10, 1, 7).Read(0, 11, 12, 1, 7).Write(1, 20, 30, 1, 8).Read(1, 31, 32, 1, 8).Cas(2, 40, 50, 1, 7, 9).Read(0, 60, 70, 1, 9));

    [Test]
    public void An_uncertain_cas_took_effect_when_its_value_was_read()
    {
        Accept(new Script().Write(0, 0, 10, 1, 7).Cas(1, 20, 30, 1, 7, 8, Outcome.Info).Read(0, 40, 50, 1, 7).Read(0, 60, 70, 1, 8));
        Reject(null, new Script().Write(0, 0, 10, 1, 7).Cas(1, 20, 30, 1, 6, 8, Outcome.Info).Read(0, 40, 50, 1, 8));
    }

    [Test]
    public void An_uncertain_cas_proves_an_uncertain_write() => Accept(
        new Script().Write(0, 0, 10, 1, 7, Outcome.Info).Cas(1, 20, 30, 1, 7, 8, Outcome.Info).Read(2, 40, 50, 1, null).Read(2, 60, 70, 1, 8));

    [Test]
    public void Keys_are_judged_apart()
    {
        Accept(new Script().Write(0, 0, 10, 1, 7).Write(0, 20, 30, 2, 7).Read(1, 40, 50, 1, 7).Read(1, 60, 70, 3, null));
        var result = Reject("stale-read", new Script().Write(0, 0, 10, 1, 7).Write(0, 20, 30, 2, 7).Read(1, 40, 50, 2, null));
        Assert.That(result.Summary, Does.StartWith("key 2:"));
    }

    [Test]
    public void Order_breaks_ties_of_time()
    {
        Reject("stale-read", new Script().Write(0, 5, 5, 1, 7).Read(1, 5, 5, 1, null));
        Accept(new Script().Read(1, 5, 5, 1, null).Write(0, 5, 5, 1, 7));
    }

    [Test]
    public void A_register_may_begin_with_a_value()
    {
        var options = new RegisterOptions(Initial: 5);
        var history = new Script().Read(0, 0, 10, 1, 5).Cas(0, 20, 30, 1, 5, 6).Read(1, 40, 50, 1, 6).History;
        Assert.That(RegisterLinearizability.Check(history, options).Verdict, Is.EqualTo(Verdict.Valid));
        Assert.That(RegisterLinearizability.Check(history).Verdict, Is.EqualTo(Verdict.Invalid));
        var nothing = new Script().Read(0, 0, 10, 1, null).History;
        Assert.That(RegisterLinearizability.Check(nothing, options).Verdict, Is.EqualTo(Verdict.Invalid));
    }

    [Test]
    public void Values_that_are_written_twice_are_judged_by_search()
    {
        Accept(new Script().Write(0, 0, 10, 1, 7).Write(0, 20, 30, 1, 8).Write(0, 40, 50, 1, 7).Read(1, 60, 70, 1, 7));
        Reject("stale-read", new Script().Write(0, 0, 10, 1, 7).Write(0, 20, 30, 1, 7).Write(0, 40, 50, 1, 8).Read(1, 60, 70, 1, 7));
    }

    [Test]
    public void A_local_read_may_be_old_but_not_from_the_future_or_from_nowhere()
    {
        var old = new Script().Write(0, 0, 10, 1, 7).Write(0, 20, 30, 1, 8).Read(1, 40, 50, 1, 7, ReadLevel.Local).Read(0, 60, 70, 1, 8);
        Assert.That(RegisterLinearizability.Check(old.History).Verdict, Is.EqualTo(Verdict.Valid));
        var future = new Script().Read(1, 0, 10, 1, 7, ReadLevel.Local).Write(0, 20, 30, 1, 7);
        Assert.That(RegisterLinearizability.Check(future.History).Anomaly, Is.EqualTo("future-read"));
        var nowhere = new Script().Write(0, 0, 10, 1, 7, Outcome.Fail).Read(1, 20, 30, 1, 7, ReadLevel.Local);
        Assert.That(RegisterLinearizability.Check(nowhere.History).Anomaly, Is.EqualTo("never-written"));
    }

    [Test]
    public void A_value_that_a_local_read_saw_was_committed()
    {
        var script = new Script().Write(0, 0, 10, 1, 7).Write(1, 20, 30, 1, 8, Outcome.Info).Read(2, 40, 50, 1, 8, ReadLevel.Local).Read(0, 60, 70, 1, 7);
        Assert.That(RegisterLinearizability.Check(script.History).Anomaly, Is.EqualTo("stale-read"));
    }

    [Test]
    public void A_search_that_gives_up_says_unknown()
    {
        var script = new Script();
        for (var i = 0; i < 24; i++)
        {
            script.Write(i, 0, 10 + i, 1, i % 12);
        }

        script.Read(0, 100, 110, 1, 99);
        var result = RegisterLinearizability.Check(script.History, new RegisterOptions(MaxConfigurations: 5_000));
        Assert.That(result.Verdict, Is.EqualTo(Verdict.Unknown));
        Assert.That(result.ToString(), Does.Contain("gave up"));
    }

    [Test]
    public void Many_uncertain_writes_of_one_value_do_not_multiply()
    {
        var script = new Script();
        for (var i = 0; i < 200; i++)
        {
            script.Write(i, i, i + 1, 1, i % 2, Outcome.Info);
        }

        for (var i = 0; i < 50; i++)
        {
            script.Read(300, 1000 + (10 * i), 1005 + (10 * i), 1, i % 2);
        }

        Assert.That(RegisterLinearizability.Check(script.History).Verdict, Is.EqualTo(Verdict.Valid));
    }

    private static void Accept(Script script)
    {
        Assert.That(RegisterLinearizability.Check(script.History).ToString(), Does.Contain(": valid"));
        Assert.That(RegisterLinearizability.Check(script.History, new RegisterOptions(AlwaysSearch: true)).ToString(), Does.Contain(": valid"));
    }

    private static CheckResult Reject(string? anomaly, Script script)
    {
        var search = RegisterLinearizability.Check(script.History, new RegisterOptions(AlwaysSearch: true));
        Assert.That(search.Verdict, Is.EqualTo(Verdict.Invalid), search.ToString());
        var result = RegisterLinearizability.Check(script.History);
        Assert.That(result.Verdict, Is.EqualTo(Verdict.Invalid), result.ToString());
        if (anomaly is not null)
        {
            Assert.That(result.Anomaly, Is.EqualTo(anomaly), result.ToString());
            Assert.That(search.Anomaly, Is.EqualTo(anomaly), search.ToString());
        }

        return result;
    }
}
