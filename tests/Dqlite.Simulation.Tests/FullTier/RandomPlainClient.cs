using Dqlite.Simulation.Workload;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Tests.FullTier;

/// <summary>An unmodified connection that runs random transactions, while other things happen in its waits.</summary>
internal sealed class RandomPlainClient(RandomWorld world, FullNode node) : IDisposable
{
    private ISimPlainConnection? _connection;
    private Op[] _ops = [];
    private OpResult[]? _expected;
    private ulong _draft;

    /// <summary>Runs a transaction.</summary>
    internal void Step()
    {
        var write = node == world.Leader && world.Random.Chance(0.7);
        _ops = [.. Enumerable.Range(0, world.Random.Between(1, 4)).Select(_ => world.NextOp(write)).Where(op => op.Kind is not (OpKind.Savepoint or OpKind.RollbackTo))];
        (_expected, _draft) = (null, 0);
        var first = node.Database.Pages.State.CommittedLsn;
        try
        {
            _connection ??= node.Tier.ConnectPlain(node.Database)!;
            var results = _connection.Run(_ops, write);
            Look();
            Compare(results, write, first);
        }
        catch (SimDatabaseException e)
        {
            Look();
            world.Count($"plain refused {e.Code}");
            Assert.That(e.IsUnknown || _draft == 0 || world.IsDropped(node, _draft), Is.True, $"a commit that took effect was refused: {e.Message}");
        }
    }

    /// <summary>A draft that no other client has made is its own; seen as soon as it waits, so before others draft on top of it.</summary>
    internal void Look()
    {
        if (world.FindNewDraft(node) is not { } draft)
        {
            return;
        }

        var state = world.Head(node).Copy();
        _expected = [.. _ops.Select(op => state.Execute(op))];
        _draft = draft;
        world.OnDraft(node, draft, state);
        world.Count("plain draft");
    }

    public void Dispose() => _connection?.Dispose();

    private void Compare(OpResult[] results, bool write, ulong first)
    {
        var found = Describe(results);
        if (_expected is { } expected)
        {
            Assert.That(found, Is.EqualTo(Describe(expected)));
            Assert.That(world.IsDropped(node, _draft), Is.False, "a commit that was acknowledged was dropped");
        }
        else if (!write)
        {
            world.Count("plain read");
            var possible = world.States(node, first, node.Database.Pages.State.CommittedLsn).Select(state => Describe([.. _ops.Select(op => state.Copy().Execute(op))]));
            Assert.That(possible, Does.Contain(found));
        }
    }

    private static string Describe(OpResult[] results) => string.Join("; ", results.Select(result => ModelState.Describe(result)));
}
