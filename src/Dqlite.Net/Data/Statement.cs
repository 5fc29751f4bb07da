using System.Text;
using SQLitePCL;
using static SQLitePCL.raw;

namespace Dqlite.Net.Data;

/// <summary>One prepared statement, and the row that it stands on. Used by the thread that uses the connection.</summary>
internal sealed class Statement : ValueSource, IDisposable
{
    private const int ReprepareCounter = 5;

    private readonly string?[] _parameterNames;
    private string[]? _columnNames;
    private int _columnCount;
    private int _reprepared;

    /// <summary>Takes over a prepared statement.</summary>
    /// <param name="handle">The statement.</param>
    /// <param name="keyword">What its text begins with.</param>
    /// <param name="needsWriter">Whether it may write pages of the replicated database.</param>
    public Statement(sqlite3_stmt handle, SqlKeyword keyword, bool needsWriter)
    {
        Handle = handle;
        Keyword = keyword;
        NeedsWriter = needsWriter;
        _columnCount = sqlite3_column_count(handle);
        _parameterNames = new string?[sqlite3_bind_parameter_count(handle)];
        for (var i = 0; i < _parameterNames.Length; i++)
        {
            _parameterNames[i] = sqlite3_bind_parameter_name(handle, i + 1).utf8_to_string();
        }
    }

    public sqlite3_stmt Handle { get; }

    public SqlKeyword Keyword { get; }

    /// <summary>Whether it may write pages of the replicated database, or takes the right to.</summary>
    public bool NeedsWriter { get; }

    /// <summary>Whether it reads the database: transaction control does not.</summary>
    public bool ReadsDatabase => Keyword is SqlKeyword.Other or SqlKeyword.Pragma or SqlKeyword.Vacuum;

    /// <inheritdoc/>
    public override int Count => _columnCount;

    public ReadOnlySpan<string?> ParameterNames => _parameterNames;

    public int Step()
    {
        var rc = sqlite3_step(Handle);
        if (_columnCount != 0 && sqlite3_stmt_status(Handle, ReprepareCounter, 0) is var count && count != _reprepared)
        {
            // SQLite prepared it again since the schema changed: "SELECT *" may have other columns now.
            _reprepared = count;
            _columnCount = sqlite3_column_count(Handle);
            _columnNames = null;
        }

        return rc;
    }

    public void Reset() => sqlite3_reset(Handle);

    public void ClearBindings()
    {
        if (_parameterNames.Length != 0)
        {
            sqlite3_clear_bindings(Handle);
        }
    }

    public string ColumnName(int ordinal)
    {
        if (_columnNames is null)
        {
            _columnNames = new string[_columnCount];
            for (var i = 0; i < _columnCount; i++)
            {
                _columnNames[i] = sqlite3_column_name(Handle, i).utf8_to_string();
            }
        }

        ArgumentOutOfRangeException.ThrowIfNegative(ordinal);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(ordinal, _columnCount);
        return _columnNames[ordinal];
    }

    public override int StorageClass(int ordinal)
    {
        var type = sqlite3_column_type(Handle, ordinal);
        if (type == SQLITE_NULL)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(ordinal);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(ordinal, _columnCount);
        }

        return type;
    }

    public void Dispose() => sqlite3_finalize(Handle);

    protected override long Int64Core(int ordinal) => sqlite3_column_int64(Handle, ordinal);

    protected override double DoubleCore(int ordinal) => sqlite3_column_double(Handle, ordinal);

    protected override string StringCore(int ordinal) => StorageClass(ordinal) switch
    {
        // The bytes of a text value are UTF-8: the encoding is fixed when the database is created. Unlike column_text, this keeps text
        // behind a NUL character.
        SQLITE_TEXT or SQLITE_BLOB => Encoding.UTF8.GetString(sqlite3_column_blob(Handle, ordinal)),
        _ => sqlite3_column_text(Handle, ordinal).utf8_to_string(),
    };

    protected override byte[] BlobCore(int ordinal) => sqlite3_column_blob(Handle, ordinal).ToArray();
}

/// <summary>Rows that were kept until their transaction was committed. Reads like the row of a statement.</summary>
internal sealed class BufferedRows(int columns) : ValueSource
{
    private readonly List<Cell> _cells = [];
    private int _row = -1;

    private readonly record struct Cell(int StorageClass, long Bits, object? Reference);

    /// <inheritdoc/>
    public override int Count => columns;

    /// <summary>How many rows there are.</summary>
    public int Rows { get; private set; }

    /// <summary>Whether it stands on a row.</summary>
    public bool OnRow => _row >= 0 && _row < Rows;

    /// <summary>Keeps a row.</summary>
    /// <param name="row">The row.</param>
    public void Add(ValueSource row)
    {
        for (var i = 0; i < columns; i++)
        {
            var type = row.StorageClass(i);
            _cells.Add(type switch
            {
                SQLITE_INTEGER => new Cell(type, row.GetInt64(i), null),
                SQLITE_FLOAT => new Cell(type, BitConverter.DoubleToInt64Bits(row.GetDouble(i)), null),
                SQLITE_TEXT => new Cell(type, 0, row.GetString(i)),
                SQLITE_BLOB => new Cell(type, 0, row.GetBlob(i)),
                _ => new Cell(SQLITE_NULL, 0, null),
            });
        }

        Rows++;
    }

    /// <summary>Goes to the next row.</summary>
    public bool Next() => ++_row < Rows;

    public override int StorageClass(int ordinal) => this[ordinal].StorageClass;

    protected override long Int64Core(int ordinal) => this[ordinal] switch
    {
        { StorageClass: SQLITE_INTEGER } cell => cell.Bits,
        { StorageClass: SQLITE_FLOAT } cell => SqliteNumber.ToInt64(BitConverter.Int64BitsToDouble(cell.Bits)),
        var cell => SqliteNumber.IntegerPrefix(Text(cell)),
    };

    protected override double DoubleCore(int ordinal) => this[ordinal] switch
    {
        { StorageClass: SQLITE_INTEGER } cell => cell.Bits,
        { StorageClass: SQLITE_FLOAT } cell => BitConverter.Int64BitsToDouble(cell.Bits),
        var cell => SqliteNumber.RealPrefix(Text(cell)),
    };

    protected override string StringCore(int ordinal) => this[ordinal] switch
    {
        { StorageClass: SQLITE_INTEGER } cell => cell.Bits.ToString(System.Globalization.CultureInfo.InvariantCulture),
        { StorageClass: SQLITE_FLOAT } cell => SqliteNumber.ToText(BitConverter.Int64BitsToDouble(cell.Bits)),
        var cell => Text(cell),
    };

    protected override byte[] BlobCore(int ordinal) => this[ordinal].Reference as byte[] ?? Encoding.UTF8.GetBytes(StringCore(ordinal));

    private static string Text(Cell cell) => cell.Reference as string ?? Encoding.UTF8.GetString((byte[])cell.Reference!);

    private Cell this[int ordinal]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(ordinal);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(ordinal, columns);
            return _cells[_row * columns + ordinal];
        }
    }
}
