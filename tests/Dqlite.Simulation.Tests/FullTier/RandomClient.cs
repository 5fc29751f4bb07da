using Dqlite.Simulation.Workload;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Tests.FullTier;

/// <summary>A connection that does random things, and compares what it gets with what its snapshot must hold.</summary>
internal sealed class RandomClient(RandomWorld world, FullNode node) : IDisposable
{
    private static readonly int[] Refusals = [ShimResult.NotLeader, ShimResult.LeadershipLost, ShimResult.UpgradeConflict, ShimResult.SlotRevoked];

    private readonly List<ModelState> _savepoints = [];
    private ISimConnection? _connection;
    private ModelState? _state;
    private bool _isOpen;
    private bool _isWrite;
    private bool _isBusy;

    /// <summary>Does the next few things, unless it is in the middle of one.</summary>
    internal void Step()
    {
        if (_isBusy)
        {
            return;
        }

        _isBusy = true;
        try
        {
            _connection ??= node.Connect();
            for (var i = world.Random.Next(6); i >= 0; i--)
            {
                Act(_connection);
            }
        }
        catch (SimDatabaseException e)
        {
            world.Count($"refused {e.Code}");
            Assert.That(Refusals, Does.Contain(e.Code), e.Message);
            _isOpen = false;
        }
        finally
        {
            _isBusy = false;
        }

        if (_connection is { IsDead: true })
        {
            world.Count("dead");
            Dispose();
        }
    }

    public void Dispose()
    {
        _connection?.Dispose();
        (_connection, _isOpen) = (null, false);
    }

    private void Act(ISimConnection connection)
    {
        if (!_isOpen)
        {
            Begin(connection);
        }
        else if (world.Random.Chance(0.7))
        {
            Execute(connection);
        }
        else if (world.Random.Chance(0.15))
        {
            connection.Rollback();
            _isOpen = false;
        }
        else
        {
            Commit(connection);
        }
    }

    private void Begin(ISimConnection connection)
    {
        _state = null;
        _savepoints.Clear();
        _isWrite = node == world.Leader && world.Random.Chance(0.7);
        if (!_isWrite)
        {
            connection.BeginRead();
        }
        else if (node.TrySlot() is { } ticket)
        {
            connection.BeginWrite(ticket);
        }
        else
        {
            return;
        }

        _isOpen = true;
    }

    private void Execute(ISimConnection connection)
    {
        var op = world.NextOp(_isWrite);
        switch (op.Kind)
        {
            case OpKind.Savepoint when _state is null:
            case OpKind.RollbackTo when _savepoints.Count == 0:
                break;
            case OpKind.Savepoint:
                connection.Execute(op);
                _savepoints.Add(_state.Copy());
                break;
            case OpKind.RollbackTo:
                connection.Execute(op);
                _state = _savepoints[^1].Copy();
                break;
            default:
                var result = connection.Execute(op);
                _state ??= world.StateAt(node, connection.SnapshotLsn).Copy();
                Assert.That(ModelState.Describe(result), Is.EqualTo(ModelState.Describe(_state.Execute(op))), op.ToString());
                break;
        }
    }

    private void Commit(ISimConnection connection)
    {
        _isOpen = false;
        var draft = connection.Commit();
        if (draft != 0)
        {
            world.Count("draft");
            world.OnDraft(node, draft, _state!);
        }
    }
}
