using Dqlite.Raft;

namespace Dqlite.Raft.Tests.Harness;

/// <summary>Which faults and changes a random schedule draws.</summary>
public sealed record ScheduleOptions
{
    public bool Crashes { get; init; }

    public bool Partitions { get; init; }

    public bool Pauses { get; init; }

    public bool Disconnects { get; init; }

    public bool MembershipChanges { get; init; }

    public bool Transfers { get; init; }

    public bool Compaction { get; init; }

    public int Steps { get; init; } = 150;
}

/// <summary>
/// Random faults and a client's load over a <see cref="Simulation"/>, then calm: the cluster must elect, commit and converge. The seed
/// decides everything.
/// </summary>
public sealed class RandomSchedule(SimulationOptions options, ScheduleOptions schedule)
{
    private readonly Random _random = new((int)options.Seed + 7919);
    private readonly Simulation _simulation = new(options);
    private int _proposals;

    public Simulation Run()
    {
        for (var i = 0; i < schedule.Steps; i++)
        {
            _simulation.RunFor(_random.NextInt64(1_000_000, 120_000_000));
            Client();
            Fault();
            if (i % 25 == 0)
            {
                _simulation.Checker.CheckLogMatching();
            }
        }

        Calm();
        return _simulation;
    }

    private void Client()
    {
        for (var i = _random.Next(4); i > 0; i--)
        {
            _simulation.Propose(AnyNode(), $"{++_proposals}");
        }

        if (_simulation.Leader is { } leader)
        {
            for (var i = _random.Next(6); i > 0; i--)
            {
                _simulation.Propose(leader, $"{++_proposals}");
            }
        }

        for (var i = _random.Next(3); i > 0; i--)
        {
            _simulation.Read(AnyNode());
        }
    }

    private void Fault()
    {
        var node = AnyNode();
        switch (_random.Next(16))
        {
            case 0 when schedule.Crashes:
                _simulation.Crash(node);
                break;
            case 1 when schedule.Crashes:
                _simulation.CrashVisibly(node);
                break;
            case 2 or 3 or 4 when schedule.Crashes:
                _simulation.Restart(node);
                break;
            case 5 when schedule.Partitions:
                _simulation.Partition(_simulation.Nodes.Where(_ => _random.Next(2) == 0).Select(other => other.Id).ToArray());
                break;
            case 6 when schedule.Partitions:
                _simulation.Block(AnyNode().Id, AnyNode().Id);
                break;
            case 7 or 8 when schedule.Partitions:
                _simulation.Heal();
                break;
            case 9 when schedule.Pauses && node.IsUp:
                _simulation.Pause(node);
                break;
            case 10 or 11 when schedule.Pauses:
                _simulation.Resume(node);
                break;
            case 12 when schedule.Disconnects:
                _simulation.Disconnect(node.Id, AnyNode().Id);
                break;
            case 13 when schedule.MembershipChanges:
                ChangeMembership();
                break;
            case 14 when schedule.Transfers && _simulation.Leader is { } leader:
                var target = _random.Next(3) == 0 ? NodeId.None : node.Id;
                _simulation.Input(leader, (core, now, outputs) => core.TransferLeadership(target, now, outputs));
                break;
            case 15 when schedule.Compaction && node.IsUp:
                var upTo = node.Applied < node.Core.PersistedIndex ? node.Applied : node.Core.PersistedIndex;
                _simulation.Compact(node, new LogIndex(upTo.Value - _random.Next(5)));
                break;
        }
    }

    private void ChangeMembership()
    {
        if (_simulation.Leader is not { } leader)
        {
            return;
        }

        var configuration = leader.Core.Configuration;
        var id = AnyNode().Id;
        var next = (configuration.Find(id)?.Role, _random.Next(3)) switch
        {
            (null, _) => configuration.With(Simulation.Member((int)id.Value, MemberRole.NonVoter)),
            (MemberRole.NonVoter, 0) => configuration.Without(id),
            (MemberRole.NonVoter, _) => configuration.With(Simulation.Member((int)id.Value, MemberRole.Voter)),
            (_, 0) => configuration.Without(id),
            _ => configuration.With(Simulation.Member((int)id.Value, MemberRole.NonVoter)),
        };
        _simulation.Input(leader, (core, now, outputs) => core.ProposeConfiguration(next, now, outputs));
    }

    /// <summary>All faults end. What every schedule must come to: one leader, all its members with the same state.</summary>
    private void Calm()
    {
        _simulation.Heal();
        foreach (var node in _simulation.Nodes)
        {
            _simulation.Resume(node);
            _simulation.Restart(node);
        }

        var leader = _simulation.Elect(20_000_000_000);
        var isConverged = _simulation.RunUntil(
            () =>
            {
                leader = _simulation.Leader ?? leader;
                return leader.Core.IsTermCommitted && leader.Core.CommitIndex == leader.Core.LastIndex
                    && leader.Core.Configuration.Members.All(member => _simulation[(int)member.Id.Value].Applied == leader.Applied);
            },
            20_000_000_000);
        Assert.That(isConverged, Is.True, "the cluster does not converge in calm");
        var last = _simulation.Propose(leader, "last");
        Assert.That(last.Refusal, Is.EqualTo(RefusalReason.None).Or.EqualTo(RefusalReason.TransferInProgress));
        _simulation.RunFor(1_000_000_000);
        _simulation.Checker.CheckLogMatching();
        var members = (_simulation.Leader ?? leader).Core.Configuration.Members.Select(member => _simulation[(int)member.Id.Value]).ToArray();
        Assert.That(members.Select(node => node.StateHash).Distinct().Count(), Is.EqualTo(1), "states differ");
    }

    private VirtualNode AnyNode() => _simulation[_random.Next(1, options.Voters + options.NonVoters + options.Spares + 1)];
}
