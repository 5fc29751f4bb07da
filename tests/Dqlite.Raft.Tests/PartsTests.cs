using Dqlite.Raft.Tests.Harness;
using static Dqlite.Raft.Tests.Harness.Short;

namespace Dqlite.Raft.Tests;

/// <summary>The small parts on their own: log, tables, timer, window, options.</summary>
public sealed class PartsTests
{
    [Test]
    public void The_log_keeps_its_entries_while_its_ring_grows_and_wraps()
    {
        var log = NewLog();
        for (var i = 1; i <= 1000; i++)
        {
            log.Append(new EntryInfo(T((i / 100) + 1), EntryKind.Application, i));
            if (i > 50)
            {
                log.Compact(I(i - 50));
            }
        }

        Assert.That((log.FirstIndex, log.LastIndex), Is.EqualTo((I(951), I(1000))));
        Assert.That(Enumerable.Range(951, 50).Select(i => log[I(i)].SizeBytes), Is.EqualTo(Enumerable.Range(951, 50)));
        Assert.That(Enumerable.Range(1, 1000).Select(i => log.TermAt(I(i))), Is.EqualTo(Enumerable.Range(1, 1000).Select(i => (Term?)T((i / 100) + 1))));
        Assert.That(() => log[I(950)], Throws.TypeOf<RaftInvariantException>());
    }

    [Test]
    public void Terms_never_decrease_along_the_log()
    {
        var log = NewLog(1, 3);
        Assert.That(() => log.Append(new EntryInfo(T(2), EntryKind.Application, 0)), Throws.TypeOf<RaftInvariantException>());
    }

    [Test]
    public void A_batch_holds_as_many_entries_as_fit_and_at_least_one()
    {
        var log = NewLog();
        foreach (var size in new[] { 10, 10, 100, 10 })
        {
            log.Append(new EntryInfo(T(1), EntryKind.Application, size));
        }

        Assert.That((log.BatchEnd(I(1), 25, out var size1), size1), Is.EqualTo((I(2), 20L)));
        Assert.That((log.BatchEnd(I(3), 25, out var size2), size2), Is.EqualTo((I(3), 100L)));
        Assert.That((log.BatchEnd(I(4), 25, out var size3), size3), Is.EqualTo((I(4), 10L)));
        Assert.That((log.BatchEnd(I(5), 25, out var size4), size4), Is.EqualTo((I(4), 0L)));
    }

    [Test]
    public void A_cut_of_reported_entries_bounds_what_a_late_report_of_an_earlier_cut_says()
    {
        var log = NewLog(1, 1);
        log.Append(new EntryInfo(T(1), EntryKind.Application, 0));
        log.TruncateFrom(I(3)); // its write is under way
        log.TruncateFrom(I(2)); // its write was reported long ago
        log.Append(new EntryInfo(T(2), EntryKind.Application, 0));
        Assert.That(log.Persisted(I(3), T(1)), Is.False);
        Assert.That(log.PersistedIndex, Is.EqualTo(I(1)));
        Assert.That(log.Persisted(I(2), T(2)), Is.True);
    }

    [Test]
    public void A_report_behind_a_cut_says_that_the_cut_is_over()
    {
        var log = NewLog(1);
        log.Append(new EntryInfo(T(2), EntryKind.Application, 0));
        log.TruncateFrom(I(2));
        log.Append(new EntryInfo(T(3), EntryKind.Application, 0));
        log.Append(new EntryInfo(T(3), EntryKind.Application, 0));
        Assert.That(log.Persisted(I(3), T(3)), Is.True);
        Assert.That(log.PersistedIndex, Is.EqualTo(I(3)));
    }

    [Test]
    public void A_log_without_its_table_of_term_starts_is_refused()
    {
        Assert.That(
            () => new RaftLog(new RaftInitialState
            {
                HardState = default,
                Configuration = Voters(1),
                FirstIndex = I(5),
                PreviousTerm = T(2),
                Entries = [],
            }),
            Throws.TypeOf<RaftInvariantException>());
    }

    [Test]
    public void Election_timeouts_lie_between_once_and_twice_the_minimum_and_differ_by_node()
    {
        var firsts = Enumerable.Range(1, 200).Select(id =>
        {
            var timer = new ElectionTimer(new RaftOptions { Id = N(id), ElectionTimeoutTicks = 50 });
            var ticks = 1;
            while (!timer.Tick())
            {
                ticks++;
            }

            return ticks;
        }).ToArray();
        Assert.That(firsts, Is.All.InRange(50, 99));
        Assert.That(firsts.Distinct().Count(), Is.GreaterThan(40));
    }

    [Test]
    public void The_majority_value_is_the_largest_that_a_majority_has_reached([Range(1, 7)] int voters)
    {
        var reached = Quorum.Reached(Voters(voters).Voters, id => id.Value);
        Assert.That(Enumerable.Range(1, voters).Count(value => value >= reached), Is.EqualTo((voters / 2) + 1));
    }

    [Test]
    public void The_same_inputs_give_the_same_outputs()
    {
        Assert.That(Run(), Is.EqualTo(Run()));

        static (int Events, long Messages, long Hash, long Now) Run()
        {
            var simulation = new RandomSchedule(
                new SimulationOptions { Seed = 99, Voters = 5, MaxDiskNs = 5_000_000, DropPerMille = 20, StragglerPerMille = 20 },
                new ScheduleOptions { Crashes = true, Partitions = true, Transfers = true }).Run();
            return (simulation.EventCount, simulation.Messages, simulation.Nodes.First().StateHash, simulation.NowNs);
        }
    }

    [Test]
    public void Settings_out_of_range_are_refused()
    {
        var valid = new RaftOptions { Id = N(1) };
        foreach (var options in new[]
        {
            valid with { Id = N(0) },
            valid with { HeartbeatTicks = 50 },
            valid with { HeartbeatTicks = 0 },
            valid with { LeaseNs = -1 },
            valid with { MaxClockDrift = double.NaN },
            valid with { MaxAppendBytes = 0 },
            valid with { MaxInflightMessages = 0 },
            valid with { MaxInflightBytes = 0 },
        })
        {
            Assert.That(
                () => new RaftCore(options, new RaftInitialState
                {
                    HardState = default,
                    Configuration = Voters(1),
                    FirstIndex = I(1),
                    PreviousTerm = T(0),
                    Entries = [],
                }),
                Throws.ArgumentException,
                options.ToString());
        }
    }

    private static RaftLog NewLog(params int[] terms) => new(new RaftInitialState
    {
        HardState = default,
        Configuration = Voters(1),
        FirstIndex = I(1),
        PreviousTerm = T(0),
        Entries = terms.Select(term => new EntryInfo(T(term), EntryKind.Application, 1)).ToArray(),
    });
}
