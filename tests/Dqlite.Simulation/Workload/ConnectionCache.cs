using Dqlite.Net.Engine;
using Dqlite.Simulation.Cluster;

namespace Dqlite.Simulation.Workload;

/// <summary>A client's open connections: one for each database of each life of a node.</summary>
internal sealed class ConnectionCache(ITier tier)
{
    private readonly List<(ReplicatedDatabase Database, ISimConnection Connection)> _open = [];

    /// <summary>The connection to a database, opened anew when there is none that lives.</summary>
    public ISimConnection Get(SimNode node, ReplicatedDatabase database)
    {
        foreach (var (known, open) in _open)
        {
            if (ReferenceEquals(known, database) && !open.IsDead)
            {
                return open;
            }
        }

        Trim(database);
        var connection = tier.Connect(database);
        _open.Add((database, connection));
        return connection;
    }

    /// <summary>After an error: ends the transaction, and the connection if it is dead.</summary>
    public void Drop(SimNode node, ReplicatedDatabase database)
    {
        for (var i = _open.Count - 1; i >= 0; i--)
        {
            if (ReferenceEquals(_open[i].Database, database))
            {
                _open[i].Connection.Rollback();
                if (_open[i].Connection.IsDead)
                {
                    RemoveAt(i);
                }
            }
        }
    }

    /// <summary>Closes all.</summary>
    public void Clear()
    {
        for (var i = _open.Count - 1; i >= 0; i--)
        {
            RemoveAt(i);
        }
    }

    /// <summary>Connections to what has stopped, and dead ones to this database, are of no use any more.</summary>
    private void Trim(ReplicatedDatabase database)
    {
        for (var i = _open.Count - 1; i >= 0; i--)
        {
            if (_open[i].Database.IsStopped || ReferenceEquals(_open[i].Database, database))
            {
                RemoveAt(i);
            }
        }
    }

    private void RemoveAt(int i)
    {
        _open[i].Connection.Dispose();
        _open.RemoveAt(i);
    }
}
