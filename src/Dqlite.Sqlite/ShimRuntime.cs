using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dqlite.Sqlite.Native;

namespace Dqlite.Sqlite;

/// <summary>Starts the shim: loads SQLite, compares the binary interface and registers the VFS.</summary>
public static class ShimRuntime
{
    /// <summary>The name under which the VFS is registered: <c>Vfs=dqlite</c> in a connection string.</summary>
    public const string VfsName = "dqlite";

    internal const uint AbiVersion = 5;

    private const string MessagePrefix = "dqlite: ";

    // Lazy caches the exception: a process whose native parts do not fit together does not get better by trying again.
    private static readonly Lazy<nint> SqliteLibrary = new(Start, LazyThreadSafetyMode.ExecutionAndPublication);

    /// <summary>Does everything that must happen once before the first use. Thread-safe; cheap when called again.</summary>
    /// <exception cref="InvalidOperationException">The native library and this assembly do not fit together, or SQLite is too old.</exception>
    /// <exception cref="DllNotFoundException">The native library is missing.</exception>
    public static void EnsureInitialized() => _ = SqliteLibrary.Value;

    /// <summary>
    /// What the VFS says beside its result codes: why a database could not be opened. The text; raised on the thread that opens. Nothing comes
    /// when the application used SQLite before the library did (SQLite takes its log callback only before its first use).
    /// </summary>
    public static event Action<string>? Message;

    /// <summary>Address of a function of the copy of SQLite that SQLitePCLRaw uses.</summary>
    internal static nint SqliteExport(string name) => NativeLibrary.GetExport(SqliteLibrary.Value, name);

    private static nint Start()
    {
        NativeMethods.AbiGet(out var abi);
        CompareAbi(abi);
        SQLitePCL.Batteries_V2.Init();
        _ = SQLitePCL.raw.sqlite3_config_log(OnLog, null);
        // A VFS registered in one copy of SQLite does not exist in another, so the functions come from the provider's own copy.
        var library = NativeLibrary.Load("e_sqlite3", typeof(SQLitePCL.SQLite3Provider_e_sqlite3).Assembly, null);
        var api = new NativeSqliteApi
        {
            StructSize = (uint)Unsafe.SizeOf<NativeSqliteApi>(),
            LibversionNumber = NativeLibrary.GetExport(library, "sqlite3_libversion_number"),
            VfsFind = NativeLibrary.GetExport(library, "sqlite3_vfs_find"),
            VfsRegister = NativeLibrary.GetExport(library, "sqlite3_vfs_register"),
            Mprintf = NativeLibrary.GetExport(library, "sqlite3_mprintf"),
            Log = NativeLibrary.GetExport(library, "sqlite3_log"),
            UriParameter = NativeLibrary.GetExport(library, "sqlite3_uri_parameter"),
            UriBoolean = NativeLibrary.GetExport(library, "sqlite3_uri_boolean"),
            NextStmt = NativeLibrary.GetExport(library, "sqlite3_next_stmt"),
            StmtBusy = NativeLibrary.GetExport(library, "sqlite3_stmt_busy"),
            StmtReadonly = NativeLibrary.GetExport(library, "sqlite3_stmt_readonly"),
            ColumnCount = NativeLibrary.GetExport(library, "sqlite3_column_count"),
            GetAutocommit = NativeLibrary.GetExport(library, "sqlite3_get_autocommit"),
            Sql = NativeLibrary.GetExport(library, "sqlite3_sql"),
            FilenameDatabase = NativeLibrary.GetExport(library, "sqlite3_filename_database"),
        };
        var rc = NativeMethods.Init(in api);
        if (rc != ShimResult.Ok)
        {
            throw new InvalidOperationException(
                $"The VFS '{VfsName}' could not be registered in SQLite {SQLitePCL.raw.sqlite3_libversion().utf8_to_string()} (code {rc}). SQLite 3.37 or newer is needed, and no other VFS may have that name.");
        }

        return library;
    }

    private static void OnLog(object userData, int errorCode, string message)
    {
        if (message.StartsWith(MessagePrefix, StringComparison.Ordinal))
        {
            Message?.Invoke(message[MessagePrefix.Length..]);
        }
    }

    internal static void CompareAbi(in NativeAbi abi)
    {
        Compare("interface version", abi.AbiVersion, AbiVersion);
        Compare("sizeof(dq_os)", abi.SizeOfOs, (uint)Unsafe.SizeOf<NativeOs>());
        Compare("sizeof(dq_sqlite_api)", abi.SizeOfApi, (uint)Unsafe.SizeOf<NativeSqliteApi>());
        Compare("sizeof(dq_db_config)", abi.SizeOfConfig, (uint)Unsafe.SizeOf<NativeDatabaseConfig>());
        Compare("sizeof(dq_batch)", abi.SizeOfBatch, (uint)Unsafe.SizeOf<NativeBatch>());
        Compare("sizeof(dq_handle_state)", abi.SizeOfHandleState, (uint)Unsafe.SizeOf<VfsHandleState>());
        Compare("sizeof(dq_db_state)", abi.SizeOfDatabaseState, (uint)Unsafe.SizeOf<PageDatabaseState>());
        Compare("sizeof(dq_stat)", abi.SizeOfStat, (uint)Unsafe.SizeOf<FileState>());
    }

    private static void Compare(string what, uint native, uint managed)
    {
        if (native != managed)
        {
            var assembly = typeof(ShimRuntime).Assembly.GetName();
            throw new InvalidOperationException(
                $"The native library dqlite_shim does not belong to {assembly.Name} {assembly.Version}: {what} is {native} there and {managed} here. Deploy both files from the same package.");
        }
    }
}
