using Dqlite.Simulation.Workload;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.CoreTier;

/// <summary>A connection whose statements are those of the <see cref="Application"/>.</summary>
internal sealed class ModelConnection(ModelPageStore store) : ISimConnection
{
    private readonly StoreHandle _handle = new(store);
    private TransactionPages? _pages;
    private Application? _application;

    /// <inheritdoc/>
    public ulong SnapshotLsn => _handle.View.Lsn;

    /// <inheritdoc/>
    public bool IsDead => _handle.DeadCode != 0;

    /// <inheritdoc/>
    public void BeginRead() => Begin(null);

    /// <inheritdoc/>
    public void BeginWrite(ulong ticket) => Begin(ticket);

    /// <inheritdoc/>
    public OpResult Execute(in Op op)
    {
        if (_application is null)
        {
            throw new InvalidOperationException("No transaction runs.");
        }

        try
        {
            _handle.RequireUsable();
            return _application.Execute(op);
        }
        catch (ShimException exception)
        {
            Rollback();
            throw new SimDatabaseException(exception.ResultCode, exception.Message);
        }
        catch
        {
            Rollback();
            throw;
        }
    }

    /// <summary>Ends the transaction. One without changes needs no commit point, so that it ends well even when it was revoked: the caller finds that
    /// out when it waits for what was read, as with SQLite.</summary>
    public ulong Commit()
    {
        if (_pages is not { } pages)
        {
            throw new InvalidOperationException("No transaction runs.");
        }

        try
        {
            return pages.IsChanged ? _handle.Draft(pages.Finish(), pages.PageCount) : 0;
        }
        catch (ShimException exception)
        {
            throw new SimDatabaseException(exception.ResultCode, exception.Message);
        }
        finally
        {
            Rollback();
        }
    }

    /// <inheritdoc/>
    public void Rollback()
    {
        _pages = null;
        _application = null;
        _handle.End();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Rollback();
        _handle.Dispose();
    }

    private void Begin(ulong? ticket)
    {
        if (_pages is not null)
        {
            throw new InvalidOperationException("A transaction runs already.");
        }

        try
        {
            if (ticket is { } held)
            {
                _handle.BeginWrite(held);
            }
            else
            {
                _handle.BeginRead();
            }
        }
        catch (ShimException exception)
        {
            _handle.End();
            throw new SimDatabaseException(exception.ResultCode, exception.Message);
        }

        _pages = new TransactionPages(_handle.Read, store.PageSize, _handle.PageCount, ticket is not null);
        _application = new Application(_pages);
    }
}
