using Dqlite.Simulation.Workload;
using Dqlite.Sqlite;
using SQLitePCL;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.FullTier;

/// <summary>Result codes as exceptions.</summary>
internal static class SqlErrors
{
    /// <summary>The exception of a failed call.</summary>
    /// <returns>A <see cref="DamageException"/> when SQLite found damage that no checksum of a page accounts for.</returns>
    public static Exception From(int rc, sqlite3 db, VfsHandle? vfs)
    {
        // The error of the connection is the exact one, as the library reads it (Errors.FromCode).
        var code = sqlite3_extended_errcode(db) is var extended && (extended & 0xff) == (rc & 0xff) ? extended : rc;
        var text = sqlite3_errmsg(db).utf8_to_string();
        if ((code & 0xff) is SQLITE_CORRUPT or SQLITE_NOTADB)
        {
            // SQLite has no other word for a page that was not given to it.
            return vfs?.State.LastError == ShimResult.PageRot
                ? From(ShimResult.PageRot)
                : new DamageException($"SQLite found the database damaged: {text} ({code})");
        }

        return new SimDatabaseException(code, text, code == ShimResult.OutcomeUnknown);
    }

    /// <summary>The exception of a code that the shim gave.</summary>
    public static SimDatabaseException From(int code) => new(code, ShimResult.Describe(code), code == ShimResult.OutcomeUnknown);
}
