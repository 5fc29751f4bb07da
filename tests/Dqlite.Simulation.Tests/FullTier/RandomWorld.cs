using Dqlite.Raft;
using Dqlite.Simulation.Workload;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Tests.FullTier;

/// <summary>Two nodes that lead in turn, connections on both, and random things that they do, also in the middle of each other.</summary>
internal sealed class RandomWorld : IDisposable
{
    private const int ClientsPerNode = 4;

    private readonly FullTierFixture _fixture;
    private readonly FullNode[] _nodes;
    private readonly SortedDictionary<(int Node, ulong Lsn), ModelState> _states = [];
    private readonly SortedSet<(int Node, ulong Lsn)> _dropped = [];
    private readonly SortedDictionary<long, ModelState> _entries = [];
    private readonly SortedDictionary<int, ulong> _heads = [];
    private readonly List<RandomClient> _clients = [];
    private readonly RandomPlainClient[] _plain;
    private readonly double _schemaChance;
    private RandomPlainClient? _runningPlain;
    private long _term;
    private long _value;
    private bool _isInCall;

    internal RandomWorld(FullTierFixture fixture, ulong seed)
    {
        _fixture = fixture;
        Random = new SeededRandom(seed);
        _schemaChance = Random.Pick([0.02, 0.1, 0.4]);
        Leader = fixture.Leader();
        _nodes = [Leader, fixture.Follower(2)];
        _term = Leader.Term;
        _nodes[1].Follow(Leader);
        foreach (var node in _nodes)
        {
            OnDraft(node, Committed(node), new ModelState(FullTierFixture.Shape));
            node.Applied = OnApplied;
            _clients.AddRange(Enumerable.Range(0, ClientsPerNode).Select(_ => new RandomClient(this, node)));
        }

        _plain = [.. _nodes.Select(node => new RandomPlainClient(this, node))];
        fixture.Tier.Interleave = _ => OnCall();
        ShimDisk.Wait = OnWait;
    }

    internal SeededRandom Random { get; }

    internal FullNode Leader { get; private set; }

    /// <summary>How often each thing has happened.</summary>
    internal SortedDictionary<string, int> Counts { get; } = new(StringComparer.Ordinal);

    private FullNode Follower => _nodes[0] == Leader ? _nodes[1] : _nodes[0];

    internal void Count(string what) => Counts[what] = Counts.GetValueOrDefault(what) + 1;

    /// <summary>What a database holds at an LSN.</summary>
    internal ModelState StateAt(FullNode node, ulong lsn) => _states[(node.Machine.Number, lsn)];

    /// <summary>What it holds at its newest LSN.</summary>
    internal ModelState Head(FullNode node) => StateAt(node, _heads[node.Machine.Number]);

    /// <summary>What it held from one LSN to another.</summary>
    internal IEnumerable<ModelState> States(FullNode node, ulong first, ulong last) =>
        _states.Where(pair => pair.Key.Node == node.Machine.Number && pair.Key.Lsn >= first && pair.Key.Lsn <= last).Select(pair => pair.Value);

    internal void OnDraft(FullNode node, ulong lsn, ModelState state)
    {
        _states[(node.Machine.Number, lsn)] = state;
        _heads[node.Machine.Number] = lsn;
    }

    internal bool IsDropped(FullNode node, ulong lsn) => _dropped.Contains((node.Machine.Number, lsn));

    /// <summary>The newest LSN, when nobody has said what it holds.</summary>
    internal ulong? FindNewDraft(FullNode node)
    {
        var lsn = node.Database.Pages.State.LastLsn;
        return _states.ContainsKey((node.Machine.Number, lsn)) ? null : lsn;
    }

    internal Op NextOp(bool mayWrite)
    {
        var value = ++_value;
        var key = Random.Next(3);
        if (mayWrite && Random.Chance(_schemaChance))
        {
            return new Op(OpKind.ChangeSchema, 0, value);
        }

        return (mayWrite ? Random.Next(14) : Random.Next(4)) switch
        {
            0 => new Op(OpKind.ReadRegister, key),
            1 => new Op(OpKind.ReadList, key),
            2 => new Op(OpKind.ReadAccounts),
            3 => new Op(OpKind.ReadBlob, key),
            4 or 5 or 6 => new Op(OpKind.WriteRegister, key, value),
            7 => new Op(OpKind.CasRegister, key, value, Random.Chance(0.5) ? 0 : Random.Next(value)),
            8 or 9 => new Op(OpKind.Append, key, value),
            10 => new Op(OpKind.Transfer, key, Random.Next(150), key + 1),
            11 => new Op(OpKind.WriteBlob, key, value, Random.Next(Random.Chance(0.1) ? 100_000 : 2_000)),
            12 => new Op(OpKind.Savepoint),
            _ => new Op(OpKind.RollbackTo),
        };
    }

    /// <summary>Lets one thing happen.</summary>
    internal void Step()
    {
        _fixture.Now += Random.Next(1_000_000L);
        switch (Random.Next(200))
        {
            case < 150:
                Random.Pick(_clients).Step();
                break;
            case < 158:
                Propose();
                break;
            case < 174:
                CommitOne();
                break;
            case < 180:
                Follower.Follow(Leader);
                break;
            case < 188:
                Checkpoint(Random.Pick(_nodes));
                break;
            case < 190:
                ChangeLeader();
                break;
            default:
                RunPlain(Random.Pick(_plain));
                break;
        }
    }

    /// <summary>Brings everything to an end and compares the nodes.</summary>
    internal void Finish()
    {
        _fixture.Tier.Interleave = null;
        while (Propose() || CommitOne())
        {
        }

        Follower.Follow(Leader);
        Assert.That(_fixture.Tier.Image(_nodes[1].Database), Is.EqualTo(_fixture.Tier.Image(_nodes[0].Database)));
        foreach (var node in _nodes)
        {
            Checkpoint(node);
            Assert.That(_fixture.Tier.Check(node.Database), Is.Null);
        }
    }

    public void Dispose()
    {
        _fixture.Tier.Interleave = null;
        ShimDisk.Wait = null;
        _clients.ForEach(client => client.Dispose());
        Array.ForEach(_plain, plain => plain.Dispose());
    }

    private static ulong Committed(FullNode node) => node.Database.Pages.State.CommittedLsn;

    private bool Propose()
    {
        if (Leader.Propose() is not { } entry)
        {
            return false;
        }

        _entries[entry.Index.Value] = Head(Leader);
        return true;
    }

    private bool CommitOne()
    {
        Leader.Database.Pages.SetLease(_fixture.Now + 3_000_000);
        return Leader.CommitOne();
    }

    /// <summary>An entry that this node has drafted itself has the LSN that it had; every other one gets a new one, on top.</summary>
    private void OnApplied(FullNode node, LogEntry entry)
    {
        if (FindNewDraft(node) is { } lsn)
        {
            OnDraft(node, lsn, _entries[entry.Index.Value]);
        }

        Assert.That(StateAt(node, Committed(node)), Is.SameAs(_entries[entry.Index.Value]));
    }

    private void Checkpoint(FullNode node)
    {
        // Not inside a read: its grace period would wait for it.
        if (!_isInCall && node.Checkpoint())
        {
            Count("checkpoint");
        }
    }

    /// <summary>Some of what was proposed survives; then one of the two leads, having applied everything.</summary>
    private void ChangeLeader()
    {
        var (old, committed, head) = (Leader, Committed(Leader), _heads[Leader.Machine.Number]);
        var kept = old.Fence(Random.Next(3));
        for (var lsn = Math.Max(committed, kept) + 1; lsn <= head; lsn++)
        {
            _dropped.Add((old.Machine.Number, lsn));
        }

        _heads[old.Machine.Number] = Committed(old);
        Follower.Follow(old);
        Leader = Random.Pick(_nodes);
        _term++;
        foreach (var node in _nodes)
        {
            // The first entry of the new term decides about those that were left behind.
            node.Database.Decide(new LogIndex(node.AppliedIndex + 1), new Term(_term));
        }

        Leader.Lead(_term);
        Count("change of leader");
    }

    private void RunPlain(RandomPlainClient plain)
    {
        if (_runningPlain is not null)
        {
            return;
        }

        _runningPlain = plain;
        try
        {
            plain.Step();
        }
        finally
        {
            _runningPlain = null;
        }
    }

    private bool OnWait(long deadlineNs)
    {
        _runningPlain!.Look();
        for (var i = Random.Next(4); i >= 0; i--)
        {
            Step();
        }

        foreach (var barrier in _nodes.SelectMany(node => node.Barriers))
        {
            _ = Random.Chance(0.8) ? barrier.TrySetResult() : barrier.TrySetException(new InvalidOperationException("no quorum"));
        }

        return _fixture.Now < deadlineNs;
    }

    private void OnCall()
    {
        if (_isInCall || !Random.Chance(0.1))
        {
            return;
        }

        _isInCall = true;
        Count("inside a call");
        try
        {
            Step();
        }
        finally
        {
            _isInCall = false;
        }
    }
}
