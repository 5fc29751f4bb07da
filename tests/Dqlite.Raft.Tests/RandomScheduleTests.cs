using Dqlite.Raft.Tests.Harness;

namespace Dqlite.Raft.Tests;

/// <summary>
/// Seeded random schedules. RAFT_SEED replays one seed, RAFT_SEEDS runs that many from a different start: the more, the better.
/// </summary>
[Category("Random")]
public sealed class RandomScheduleTests
{
    private static readonly RaftOptions SmallWindows = new() { Id = new NodeId(1), MaxInflightMessages = 3, MaxAppendBytes = 8, MaxInflightBytes = 16 };

    [Test]
    public void Loss_duplication_and_reordering_keep_the_cluster_safe([Range(1, 7)] int voters) =>
        Run(12, seed => new SimulationOptions { Seed = seed, Voters = voters, DropPerMille = 50, DuplicatePerMille = 50, StragglerPerMille = 50, Raft = SmallWindows },
            new ScheduleOptions { Transfers = true });

    [Test]
    public void Deferred_commits_keep_the_cluster_safe([Values(2, 3, 5)] int voters) =>
        Run(12, seed => new SimulationOptions { Seed = seed, Voters = voters, DropPerMille = 50, StragglerPerMille = 50, Raft = SmallWindows with { DefersCommit = true } },
            new ScheduleOptions { Transfers = true, Crashes = true });

    [Test]
    public void Crashes_with_asynchronous_disks_keep_the_cluster_safe([Values(1, 2, 3, 5)] int voters) =>
        Run(20, seed => new SimulationOptions { Seed = seed, Voters = voters, MaxDiskNs = 20_000_000, StragglerPerMille = 20 },
            new ScheduleOptions { Crashes = true, Compaction = true });

    [Test]
    public void Partitions_pauses_and_drifting_clocks_serve_no_stale_read([Values(2, 3, 5)] int voters) =>
        Run(30, seed => new SimulationOptions { Seed = seed, Voters = voters, MaxDiskNs = 5_000_000, ClockDrift = 0.09, StragglerPerMille = 30 },
            new ScheduleOptions { Partitions = true, Pauses = true, Disconnects = true, Transfers = true });

    [Test]
    public void Membership_changes_under_faults_keep_the_cluster_safe([Values(1, 3, 4)] int voters) =>
        Run(25, seed => new SimulationOptions { Seed = seed, Voters = voters, NonVoters = 1, Spares = 2, MaxDiskNs = 5_000_000 },
            new ScheduleOptions { MembershipChanges = true, Partitions = true, Disconnects = true, Compaction = true, Transfers = true, Steps = 200 });

    [Test]
    public void Everything_at_once_keeps_the_cluster_safe([Values(3, 5)] int voters) =>
        Run(60, seed => new SimulationOptions
        {
            Seed = seed,
            Voters = voters,
            NonVoters = 1,
            Spares = 1,
            MaxDiskNs = 15_000_000,
            DropPerMille = 10,
            DuplicatePerMille = 10,
            StragglerPerMille = 20,
            ClockDrift = 0.09,
            Raft = SmallWindows,
        },
            new ScheduleOptions
            {
                Crashes = true,
                Partitions = true,
                Pauses = true,
                Disconnects = true,
                MembershipChanges = true,
                Transfers = true,
                Compaction = true,
                Steps = 200,
            });

    private static void Run(int seeds, Func<ulong, SimulationOptions> options, ScheduleOptions schedule)
    {
        var only = Environment.GetEnvironmentVariable("RAFT_SEED");
        var more = Environment.GetEnvironmentVariable("RAFT_SEEDS");
        var first = only is not null ? ulong.Parse(only) : more is not null ? 1_000UL : 1UL;
        var count = only is not null ? 1 : more is not null ? int.Parse(more) : seeds;
        var reads = 0;
        var terms = 0;
        var commits = 0L;
        for (var seed = first; seed < first + (ulong)count; seed++)
        {
            try
            {
                var simulation = new RandomSchedule(options(seed), schedule).Run();
                reads += simulation.ReadCount;
                terms += simulation.Checker.LeaderCount;
                commits += simulation.Checker.Acknowledged.Value;
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException($"Seed {seed} (replay with RAFT_SEED={seed}): {exception.Message}", exception);
            }
        }

        TestContext.Out.WriteLine($"seeds {first}..{first + (ulong)count - 1}: {terms} leaders, {commits} commits, {reads} reads");
        Assert.That(commits, Is.GreaterThan(0));
        Assert.That(reads, Is.GreaterThan(0));
    }
}
