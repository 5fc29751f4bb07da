using Dqlite.Crash.Histories;

namespace Dqlite.Crash.Tests.Histories;

/// <summary>Small histories of one register, each operation written as (function, value, start, end).</summary>
public sealed class ZoneCheckerTests
{
    private readonly List<HistoryEvent> _events = [];
    private long _process;

    [SetUp]
    public void Begin() => _events.Clear();

    [Test]
    public void Reads_see_the_last_write()
    {
        Read(null, 0, 1);
        Write(1, 2, 3);
        Read(1, 4, 5);
        Write(2, 6, 7);
        Read(2, 8, 9);
        Assert.That(Check(), Is.Empty);
    }

    [Test]
    public void Either_value_may_be_read_while_it_is_written()
    {
        Write(1, 0, 1);
        Write(2, 2, 10);
        Read(1, 3, 4);
        Read(2, 5, 6);
        Assert.That(Check(), Is.Empty);
    }

    [Test]
    public void A_stale_read_is_found()
    {
        Write(1, 0, 1);
        Write(2, 2, 3);
        Read(1, 4, 5);
        Assert.That(Check(), Has.Count.EqualTo(1).And.All.Contain("falls into the time"));
    }

    [Test]
    public void A_read_of_nothing_after_a_write_is_stale()
    {
        Write(1, 0, 1);
        Read(null, 2, 3);
        Assert.That(Check(), Has.Count.EqualTo(1));
    }

    [Test]
    public void A_value_does_not_come_back()
    {
        Write(1, 0, 1);
        Write(2, 2, 20);
        Read(2, 3, 4);
        Read(1, 5, 6);
        Assert.That(Check(), Has.Count.EqualTo(1));
    }

    [Test]
    public void Two_values_do_not_take_turns()
    {
        Write(1, 0, 10);
        Write(2, 0, 10);
        Read(1, 11, 12);
        Read(2, 13, 14);
        Read(1, 15, 16);
        Assert.That(Check(), Is.Not.Empty);
    }

    [Test]
    public void A_value_is_not_read_before_it_is_written()
    {
        Read(1, 0, 1);
        Write(1, 2, 3);
        Assert.That(Check(), Has.Some.Contains("before its write began"));
    }

    [Test]
    public void A_value_whose_write_failed_is_not_read()
    {
        Write(1, 0, 1, EventType.Fail);
        Read(1, 2, 3);
        Assert.That(Check(), Has.Count.EqualTo(1).And.All.Contain("its write failed"));
    }

    [Test]
    public void A_write_with_an_unknown_outcome_may_take_effect_late_or_never()
    {
        Write(1, 0, 1);
        Write(2, 2, 3, EventType.Info);
        Write(3, 2, 3, EventType.Info);
        Read(1, 4, 5);
        Read(2, 6, 7);
        Assert.That(Check(), Is.Empty);
        Read(1, 8, 9);
        Assert.That(Check(), Is.Not.Empty, "but not be undone");
    }

    [Test]
    public void A_write_whose_process_died_has_an_unknown_outcome()
    {
        Write(1, 0, 1);
        Write(2, 2, 3, EventType.Info);
        _events.RemoveAll(happened => happened.Type == EventType.Info);
        Read(1, 4, 5);
        Read(2, 6, 7);
        Assert.That(Check(), Is.Empty);
    }

    [Test]
    public void A_cas_sees_what_it_replaces()
    {
        Write(1, 0, 1);
        Cas(1, 2, 2, 3);
        Read(2, 4, 5);
        Assert.That(Check(), Is.Empty);
        Cas(1, 3, 6, 7);
        Assert.That(Check(), Has.Some.Contains("replaced by more than one cas").And.Some.Contains("both there at the same time"));
    }

    [Test]
    public void Registers_are_looked_at_one_by_one()
    {
        Write(1, 0, 1, key: 0);
        Write(2, 2, 3, key: 1);
        Read(1, 4, 5, key: 0);
        Assert.That(Check(), Is.Empty);
    }

    [Test]
    public void A_history_line_has_the_form_of_Jepsen()
    {
        var cas = new HistoryEvent(7, EventType.Info, RegisterFunction.Cas, 3, 12, 11, 99);
        Assert.That(cas.ToJson(4), Is.EqualTo("""{"index":4,"process":7,"type":"info","f":"cas","value":[3,[11,12]],"time":99}"""));
        Assert.That((cas with { Function = RegisterFunction.Read, Value = null }).ToJson(0), Is.EqualTo("""{"index":0,"process":7,"type":"info","f":"read","value":[3,null],"time":99}"""));
        Assert.That(HistoryEvent.Parse(cas.ToLine()), Is.EqualTo(cas));
    }

    private IReadOnlyList<string> Check() => new ZoneChecker().FindViolations([.. _events.OrderBy(happened => happened.TimeNs)]);

    private void Read(long? value, long start, long end, int key = 0) => Add(RegisterFunction.Read, value, null, start, end, EventType.Ok, key);

    private void Write(long value, long start, long end, EventType type = EventType.Ok, int key = 0) => Add(RegisterFunction.Write, value, null, start, end, type, key);

    private void Cas(long expected, long value, long start, long end) => Add(RegisterFunction.Cas, value, expected, start, end, EventType.Ok, 0);

    private void Add(RegisterFunction function, long? value, long? expected, long start, long end, EventType type, int key)
    {
        var invoke = new HistoryEvent(++_process, EventType.Invoke, function, key, function == RegisterFunction.Read ? null : value, expected, start);
        _events.Add(invoke);
        _events.Add(invoke with { Type = type, Value = value, TimeNs = end });
    }
}
