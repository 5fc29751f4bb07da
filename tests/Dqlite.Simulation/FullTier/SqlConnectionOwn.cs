using Dqlite.Net;
using Dqlite.Net.Data;
using Dqlite.Net.Engine;
using Dqlite.Simulation.Workload;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.FullTier;

/// <summary>
/// A connection of the library's own, as <see cref="Session"/> drives one, but without its waits: the slot is acquired before, the commit
/// and the gate are awaited afterwards, both by the caller. Every statement is armed with the ticket.
/// </summary>
/// <remarks>
/// One write transaction of <see cref="DeferredEvery"/> begins with a plain BEGIN and gets the right to write with its first statement that
/// needs it; reads before that see what is committed, as in the library, and the write then fails with 517 when others have drafted.
/// </remarks>
internal sealed class SqlConnectionOwn : ISimConnection
{
    private const int DeferredEvery = 8;
    private const int WalkEvery = 4;

    private readonly FullTier _tier;
    private readonly ReplicatedDatabase _database;
    private readonly DatabaseHandle _handle;
    private readonly SqlRunner _sql;
    private readonly OpRunner _ops;
    private readonly ListWalk _walk;
    private readonly ReentryGuard _guard = new();
    private ulong _ticket;
    private bool _isArmed;
    private bool _hasBegun;
    private int _reads;

    private SqlConnectionOwn(FullTier tier, ReplicatedDatabase database, DatabaseHandle handle)
    {
        _tier = tier;
        _database = database;
        _handle = handle;
        _sql = new SqlRunner(handle.Db, handle.Vfs, Arm);
        _ops = new OpRunner(_sql);
        _walk = new ListWalk(_sql);
    }

    /// <inheritdoc/>
    public ulong SnapshotLsn { get; private set; }

    /// <inheritdoc/>
    public bool IsDead => _handle.Vfs.State.DeadCode != 0;

    /// <summary>Opens a connection.</summary>
    /// <param name="tier">Closes it at its end, unless that has happened before.</param>
    /// <param name="database">Of a node that runs.</param>
    /// <param name="cachePages">Pages that SQLite keeps; a larger transaction spills.</param>
    /// <exception cref="SimDatabaseException">It cannot be opened now.</exception>
    public static SqlConnectionOwn Open(FullTier tier, ReplicatedDatabase database, int cachePages)
    {
        DatabaseHandle handle;
        try
        {
            handle = DatabaseHandle.Open(database.Path);
        }
        catch (DqliteException e)
        {
            throw new SimDatabaseException(e.SqliteExtendedErrorCode, e.Message);
        }

        var connection = new SqlConnectionOwn(tier, database, handle);
        try
        {
            FullTier.Configure(connection._sql, cachePages);
            return connection;
        }
        catch (SimDatabaseException)
        {
            connection.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void BeginRead()
    {
        using var entered = _guard.Enter();
        Begin(0);
        try
        {
            _sql.Run(Sql.Begin);
            _hasBegun = true;
            _sql.QueryValue(Sql.TakeSnapshot);
            SnapshotLsn = _handle.Vfs.State.SnapshotLsn;
            if (++_reads % WalkEvery == 0)
            {
                _walk.Start();
            }
        }
        catch (SimDatabaseException)
        {
            End();
            throw;
        }
    }

    /// <inheritdoc/>
    public void BeginWrite(ulong ticket)
    {
        using var entered = _guard.Enter();
        Begin(ticket);
        try
        {
            _isArmed = ticket % DeferredEvery != 0;
            _sql.Run(_isArmed ? Sql.BeginImmediate : Sql.Begin);
            _hasBegun = true;
            SnapshotLsn = _handle.Vfs.State.SnapshotLsn;
        }
        catch (SimDatabaseException)
        {
            End();
            throw;
        }
    }

    /// <inheritdoc/>
    public OpResult Execute(in Op op)
    {
        using var entered = _guard.Enter();
        try
        {
            _isArmed |= _ticket != 0 && OpRunner.Writes(op.Kind);
            var result = _ops.Execute(op);
            _walk.GoOn();
            SnapshotLsn = _handle.Vfs.State.SnapshotLsn;
            return result;
        }
        catch (SimDatabaseException)
        {
            // Its error may stem from drafts, which the caller waits for.
            SnapshotLsn = _handle.Vfs.State.SnapshotLsn;
            End();
            throw;
        }
    }

    /// <inheritdoc/>
    public ulong Commit()
    {
        using var entered = _guard.Enter();
        try
        {
            _walk.Finish();
            var rc = _sql.TryRun(Sql.Commit);
            var draft = _handle.Vfs.State.DraftLsn;
            if (draft != 0)
            {
                // The draft decides, whatever SQLite said; at its commit point it gave the slot up.
                _ticket = 0;
                return draft;
            }

            _sql.Check(rc);
            return 0;
        }
        finally
        {
            End();
        }
    }

    /// <summary>Runs one step as an autocommit statement; instead of <see cref="BeginWrite"/> to <see cref="Commit"/>.</summary>
    /// <param name="op">A step that is a single statement, see <see cref="OpRunner.IsSingleStatement"/>.</param>
    /// <param name="ticket">Holds the slot; 0 for a step that only reads.</param>
    /// <param name="draft">As <see cref="Commit"/> returns it.</param>
    /// <returns>What the step gave; it may leave when the draft, or without one the snapshot, is committed.</returns>
    /// <exception cref="SimDatabaseException">Refused without effect.</exception>
    public OpResult RunAlone(in Op op, ulong ticket, out ulong draft)
    {
        using var entered = _guard.Enter();
        Begin(ticket);
        try
        {
            _isArmed = true;
            return _ops.Execute(op);
        }
        finally
        {
            var state = _handle.Vfs.State;
            SnapshotLsn = state.SnapshotLsn;
            draft = state.DraftLsn;
            _ticket = draft != 0 ? 0 : _ticket;
            End();
        }
    }

    /// <summary>Looks for damage in what is committed now.</summary>
    /// <returns>Null, or what is wrong.</returns>
    /// <exception cref="SimDatabaseException">Nothing can be read now.</exception>
    public string? Inspect()
    {
        BeginRead();
        try
        {
            return DatabaseInspection.Run(_sql);
        }
        finally
        {
            Rollback();
        }
    }

    /// <inheritdoc/>
    public void Rollback()
    {
        using var entered = _guard.Enter();
        End();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        using var entered = _guard.Enter();
        End();
        _ops.Dispose();
        _walk.Dispose();
        _sql.Dispose();
        _handle.Dispose();
        _tier.OnClosed(this);
    }

    private void Begin(ulong ticket)
    {
        End();
        _ticket = ticket;
        _isArmed = false;
    }

    /// <summary>Before every statement; the codes are those of Session.Arm and Session.ArmOpenTransaction.</summary>
    private void Arm()
    {
        try
        {
            _handle.Vfs.Arm(_isArmed ? _ticket : 0);
        }
        catch (ShimException e)
        {
            var revoked = _hasBegun ? _handle.Vfs.State.RevokedCode : 0;
            throw SqlErrors.From(revoked != 0 ? revoked : e.ResultCode == ShimResult.Busy ? ShimResult.NotLeader : e.ResultCode);
        }
    }

    /// <summary>Ends whatever is open, and gives the slot back if it is still held.</summary>
    private void End()
    {
        _walk.Abandon();
        _sql.Rollback();
        _hasBegun = false;
        if (_ticket == 0)
        {
            return;
        }

        var ticket = _ticket;
        _ticket = 0;
        try
        {
            _database.ReleaseWriter(ticket);
        }
        catch (ObjectDisposedException)
        {
            // The node's process has died under the connection, and the slot with it.
        }
    }
}
