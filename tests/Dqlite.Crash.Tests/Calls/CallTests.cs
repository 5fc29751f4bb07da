using Dqlite.Crash.Calls;
using Dqlite.Sqlite;

namespace Dqlite.Crash.Tests.Calls;

/// <summary>What becomes of a call, and what it is taken to be for.</summary>
public sealed class CallTests
{
    private const int Eio = 5;
    private const int Enospc = 28;
    private static readonly ShimCall Write = new(ShimOperation.Write, "f", 513);
    private static readonly ShimCall Sync = new(ShimOperation.Sync, "f", 0);

    [Test]
    public void A_failing_call_is_not_made()
    {
        Assert.That(CallActions.Apply(CallAction.Eio, Write), Is.EqualTo(new ShimFate(Eio)));
        Assert.That(CallActions.Apply(CallAction.Enospc, Sync), Is.EqualTo(new ShimFate(Enospc)));
    }

    [Test]
    public void A_short_write_does_half_of_it_and_another_call_fails()
    {
        Assert.That(CallActions.Apply(CallAction.Short, Write), Is.EqualTo(new ShimFate(MaxBytes: 256)));
        Assert.That(CallActions.Apply(CallAction.Short, Sync), Is.EqualTo(new ShimFate(Eio)));
    }

    [Test]
    public void A_kill_in_the_middle_of_a_write_comes_after_half_of_it()
    {
        var fate = CallActions.Apply(CallAction.Half, Write);
        Assert.That((fate.Errno, fate.MaxBytes, fate.After is not null), Is.EqualTo((0, 256L, true)));
    }

    [Test]
    public void A_segment_that_goes_out_of_the_log_belongs_to_the_compaction() =>
        Assert.That(CallPhases.Of(ScenarioStep.Work, "dqlite-log-1", new ShimCall(ShimOperation.Rename, "log/1.segment", 0)), Is.EqualTo(CallPhase.Compaction));

    [TestCase(ScenarioStep.Open, null, "metadata", CallPhase.Open)]
    [TestCase(ScenarioStep.Work, "dqlite-node-1", "metadata", CallPhase.Commit)]
    [TestCase(ScenarioStep.Work, "dqlite-log-1", "log/1.segment", CallPhase.Commit)]
    [TestCase(ScenarioStep.Work, "dqlite-log-1", "log.base.new", CallPhase.Compaction)]
    [TestCase(ScenarioStep.Work, "dqlite-segments-1", "log/2.tmp", CallPhase.Segment)]
    [TestCase(ScenarioStep.Work, "dqlite-checkpoint-1", "databases/a.db", CallPhase.Checkpoint)]
    [TestCase(ScenarioStep.Work, "dqlite-install-1", "databases", CallPhase.Install)]
    [TestCase(ScenarioStep.Reopen, null, "databases/a.db.new", CallPhase.Install)]
    [TestCase(ScenarioStep.Reopen, null, "databases/a.db", CallPhase.Reopen)]
    [TestCase(ScenarioStep.Stop, "dqlite-checkpoint-1", "databases/a.db", CallPhase.Stop)]
    public void A_call_belongs_to_what_its_thread_and_its_file_are_for(object step, string? thread, string path, object phase) =>
        Assert.That(CallPhases.Of((ScenarioStep)step, thread, new ShimCall(ShimOperation.Write, path, 0)), Is.EqualTo((CallPhase)phase));
}
