using Dqlite.Simulation.Workload;

namespace Dqlite.Simulation.FullTier;

/// <summary>
/// A cursor over all lists that a reader keeps open from step to step, while other transactions commit and pages go to the file under it: it
/// must find every list without gaps, as it was at the snapshot.
/// </summary>
internal sealed class ListWalk(SqlRunner sql) : IDisposable
{
    private const int RowsPerStep = 2;
    private const int LastRows = 64;

    private SqlRows? _rows;
    private long _list;
    private long _seq;

    /// <summary>Begins at the first row.</summary>
    /// <exception cref="SimDatabaseException">The tables do not exist yet, or the snapshot is gone.</exception>
    public void Start()
    {
        (_list, _seq) = (long.MinValue, 0);
        _rows = sql.Query(Sql.WalkLists);
        GoOn();
    }

    /// <summary>Goes on by a few rows.</summary>
    /// <exception cref="SimDatabaseException">The snapshot is gone.</exception>
    public void GoOn() => Walk(RowsPerStep);

    /// <summary>Goes on by the last rows.</summary>
    /// <exception cref="SimDatabaseException">The snapshot is gone.</exception>
    public void Finish()
    {
        Walk(LastRows);
        Abandon();
    }

    /// <summary>Closes the cursor.</summary>
    public void Abandon()
    {
        _rows?.Dispose();
        _rows = null;
    }

    /// <inheritdoc/>
    public void Dispose() => Abandon();

    private void Walk(int rows)
    {
        for (var i = 0; i < rows && _rows is not null; i++)
        {
            if (!_rows.Next())
            {
                Abandon();
                return;
            }

            var (list, seq) = (_rows.Int64(0), _rows.Int64(1));
            if (list < _list || seq != (list == _list ? _seq + 1 : 1))
            {
                throw new DamageException($"A cursor over the lists went from list {_list}, place {_seq} to list {list}, place {seq}.");
            }

            (_list, _seq) = (list, seq);
        }
    }
}
