using Dqlite.Net.Engine;
using Dqlite.Simulation.Workload;
using Dqlite.Sqlite;
using SQLitePCL;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.FullTier;

/// <summary>
/// An unmodified connection on the VFS, as Microsoft.Data.Sqlite would open one: it waits inside SQLite for the slot, for other drafts, for a
/// quorum, and at its commit point for Raft. Meanwhile <see cref="World.ShimDisk.Wait"/> lets the world go on, so at most one call on one such
/// connection is under way at a time.
/// </summary>
internal sealed class SqlConnectionPlain : ISimPlainConnection
{
    private readonly FullTier _tier;
    private readonly sqlite3 _db;
    private readonly SqlRunner _sql;
    private readonly OpRunner _ops;
    private readonly ReentryGuard _guard = new();

    private SqlConnectionPlain(FullTier tier, sqlite3 db, VfsHandle vfs)
    {
        _tier = tier;
        _db = db;
        _sql = new SqlRunner(db, vfs, static () => { });
        _ops = new OpRunner(_sql);
    }

    /// <summary>Opens a connection; reads its schema, so that this may wait too.</summary>
    /// <param name="tier">Closes it at its end, unless that has happened before.</param>
    /// <param name="database">Of a node that runs.</param>
    /// <param name="cachePages">Pages that SQLite keeps; a larger transaction spills.</param>
    /// <exception cref="SimDatabaseException">It cannot be opened now.</exception>
    public static SqlConnectionPlain Open(FullTier tier, ReplicatedDatabase database, int cachePages)
    {
        const int Flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
        ShimRuntime.EnsureInitialized();
        var rc = sqlite3_open_v2(database.Path, out var db, Flags, ShimRuntime.VfsName);
        try
        {
            if (rc != SQLITE_OK)
            {
                throw SqlErrors.From(rc, db, null);
            }

            sqlite3_extended_result_codes(db, 1);
            var vfs = VfsHandle.From(db) ?? throw new InvalidOperationException($"'{database.Path}' was not opened through the VFS.");
            var connection = new SqlConnectionPlain(tier, db, vfs);
            FullTier.Configure(connection._sql, cachePages);
            return connection;
        }
        catch
        {
            sqlite3_close_v2(db);
            throw;
        }
    }

    /// <summary>Runs a transaction to its end. One that is a single statement has no BEGIN; two thirds of the others that write begin with
    /// BEGIN IMMEDIATE, the rest takes the right to write when it needs it, and may get 517.</summary>
    /// <inheritdoc/>
    public OpResult[] Run(IReadOnlyList<Op> ops, bool write)
    {
        using var entered = _guard.Enter();
        var results = new OpResult[ops.Count];
        var isAlone = ops.Count == 1 && OpRunner.IsSingleStatement(ops[0].Kind);
        try
        {
            if (!isAlone)
            {
                _sql.Run(write && ops.Count % 3 != 0 ? Sql.BeginImmediate : Sql.Begin);
            }

            for (var i = 0; i < results.Length; i++)
            {
                results[i] = _ops.Execute(ops[i]);
            }

            if (!isAlone)
            {
                _sql.Run(Sql.Commit);
            }

            return results;
        }
        catch (SimDatabaseException)
        {
            _sql.Rollback();
            throw;
        }
        finally
        {
            _tier.ThrowIfDefect();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        using var entered = _guard.Enter();
        _sql.Rollback();
        _ops.Dispose();
        _sql.Dispose();
        sqlite3_close_v2(_db);
        _tier.OnClosed(this);
    }
}
