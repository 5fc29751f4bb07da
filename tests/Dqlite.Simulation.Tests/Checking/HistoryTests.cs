using Dqlite.Simulation.Checking;

namespace Dqlite.Simulation.Tests.Checking;

/// <summary>Recording, and the order of events.</summary>
internal sealed class HistoryTests
{
    private long _nowNs;

    [Test]
    public void A_client_waits_for_one_operation_at_a_time()
    {
        var history = New();
        var id = history.Begin(0, Operation.Write(1, 1));
        Assert.That(() => history.Begin(0, Operation.Write(1, 2)), Throws.InvalidOperationException);
        history.Info(id);
        Assert.That(() => history.Begin(0, Operation.Write(1, 2)), Throws.Nothing);
    }

    [Test]
    public void An_operation_ends_once()
    {
        var history = New();
        var id = history.Begin(0, Operation.Write(1, 1));
        history.Ok(id);
        Assert.That(() => history.Fail(id), Throws.InvalidOperationException);
        Assert.That(history.Entries[id].Outcome, Is.EqualTo(Outcome.Ok));
    }

    [Test]
    public void An_operation_does_not_end_before_it_was_invoked()
    {
        var history = New();
        _nowNs = 10;
        var id = history.Begin(0, Operation.Write(1, 1));
        _nowNs = 9;
        Assert.That(() => history.Ok(id), Throws.InvalidOperationException);
    }

    [Test]
    public void Whatever_reads_has_to_tell_what_it_saw()
    {
        var history = New();
        Assert.That(() => history.Ok(history.Begin(0, Operation.Read(1))), Throws.ArgumentException);
        Assert.That(() => history.Ok(history.Begin(1, Operation.ReadAll())), Throws.ArgumentException);
        Assert.That(() => history.Ok(history.Begin(2, Operation.Transaction(MicroOperation.Read(1)))), Throws.ArgumentException);
        Assert.That(() => history.Ok(history.Begin(3, Operation.Transaction(MicroOperation.Append(1, 1)))), Throws.Nothing);
    }

    [Test]
    public void A_result_has_to_fit_its_operation()
    {
        var history = New();
        var write = history.Begin(0, Operation.Write(1, 1));
        var transaction = history.Begin(1, Operation.Transaction(MicroOperation.Read(1), MicroOperation.Append(1, 2)));
        Assert.That(() => history.OkRead(write, 1), Throws.ArgumentException);
        Assert.That(() => history.OkReadAll(write, [1]), Throws.ArgumentException);
        Assert.That(() => history.OkTransaction(transaction, [[]]), Throws.ArgumentException);
        Assert.That(() => history.OkTransaction(transaction, [[], null]), Throws.Nothing);
    }

    [Test]
    public void Events_are_in_the_order_of_time_and_then_of_recording()
    {
        var script = new Script().Write(0, 20, 30, 1, 1).Write(1, 5, 20, 1, 2).Write(2, 30, 40, 1, 3, Outcome.Info).Write(3, 1, 2, 1, 4, Outcome.Open);
        var timeline = new Timeline(script.History);
        Assert.That(timeline.Events, Is.EqualTo(new[] { 6, 2, 0, 3, 1, 4, 5 }));
        Assert.That(timeline.Invoked, Is.EqualTo(new[] { 2, 1, 5, 0 }));
        Assert.That(timeline.Completed, Is.EqualTo(new[] { 4, 3, Timeline.Never, Timeline.Never }));
    }

    [Test]
    public void The_worst_result_counts()
    {
        var valid = CheckResult.Valid("a", "all");
        var unknown = CheckResult.Unknown("b", "bound", "gave up");
        var invalid = CheckResult.Invalid("c", "G0", "circle", "line 1", "line 2");
        Assert.That(CheckResult.Worst([valid, unknown]), Is.SameAs(unknown));
        Assert.That(CheckResult.Worst([invalid, unknown, valid]), Is.SameAs(invalid));
        Assert.That(invalid.ToString(), Is.EqualTo("c: invalid (G0): circle\n  line 1\n  line 2"));
    }

    private History New() => new(() => _nowNs);
}
