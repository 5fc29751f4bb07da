using System.Collections;
using System.Data.Common;
using Dqlite.Net.Data;

namespace Dqlite.Net;

/// <summary>
/// Reads the results of a command. Rows of a reading statement come as they are read; rows of a writing one (RETURNING) come when it is
/// committed. Closing it runs the statements that are left, and throws what they fail with.
/// </summary>
public sealed partial class DqliteDataReader : DbDataReader
{
    private readonly DqliteConnection _connection;
    private readonly DqliteCommand? _command;
    private readonly object _owner;
    private readonly Session _session;
    private readonly IResultSource _results;
    private readonly int _timeoutSeconds;
    private readonly bool _closesConnection;
    private readonly Telemetry.Operation _operation;
    private volatile bool _cancelled;
    private bool _atEnd;
    private bool _closed;

    internal DqliteDataReader(
        DqliteConnection connection,
        DqliteCommand? command,
        object owner,
        IResultSource results,
        int timeoutSeconds,
        bool closesConnection,
        Telemetry.Operation operation)
    {
        _connection = connection;
        _command = command;
        _owner = owner;
        _session = connection.CurrentSession!;
        _results = results;
        _timeoutSeconds = timeoutSeconds;
        _closesConnection = closesConnection;
        _operation = operation;
        connection.AddReader(this);
        if (command is not null)
        {
            command.Reader = this;
        }
    }

    /// <summary>Always 0.</summary>
    public override int Depth => 0;

    /// <inheritdoc/>
    public override int FieldCount => NotClosed()._results.Columns?.Count ?? 0;

    /// <inheritdoc/>
    public override bool HasRows => _results.HasRows;

    /// <inheritdoc/>
    public override bool IsClosed => _closed;

    /// <summary>Rows inserted, updated and deleted so far; -1 when everything only read.</summary>
    public override int RecordsAffected => _results.RecordsAffected;

    private Statement Columns => NotClosed()._results.Columns ?? throw NoData();

    private ValueSource Row => NotClosed()._results.Row ?? throw NoData();

    /// <inheritdoc/>
    public override object this[int ordinal] => GetValue(ordinal);

    /// <inheritdoc/>
    public override object this[string name] => GetValue(GetOrdinal(name));

    /// <inheritdoc/>
    public override bool Read() => ReadRow(CancellationToken.None);

    /// <inheritdoc/>
    public override Task<bool> ReadAsync(CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled<bool>(cancellationToken);
        }

        try
        {
            // SQLite runs in this process: there is nothing to wait for.
            return ReadRow(cancellationToken) ? TrueTask : FalseTask;
        }
        catch (Exception e)
        {
            return Task.FromException<bool>(e);
        }
    }

    /// <summary>Runs on to the next statement that has columns.</summary>
    /// <exception cref="DqliteException">A statement failed.</exception>
    public override bool NextResult() => Synchronous.Result(NextResultAsync(async: false, CancellationToken.None));

    /// <inheritdoc cref="NextResult"/>
    /// <param name="cancellationToken">Ends the wait; after the commit point the outcome is then unknown.</param>
    public override Task<bool> NextResultAsync(CancellationToken cancellationToken) => NextResultAsync(async: true, cancellationToken).AsTask();

    /// <summary>
    /// Runs the statements that are left, and closes the reader. What they fail with is thrown: a lost commit is never silent. After a
    /// statement has failed or was cancelled the rest does not run. <see cref="System.IDisposable.Dispose"/> does the same.
    /// </summary>
    public override void Close() => Synchronous.Result(CloseAsync(async: false));

    /// <inheritdoc cref="Close"/>
    public override Task CloseAsync() => CloseAsync(async: true).AsTask();

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync() => await CloseAsync(async: true).ConfigureAwait(false);

    /// <inheritdoc/>
    public override IEnumerator GetEnumerator() => new DbEnumerator(this, closeReader: false);

    /// <inheritdoc/>
    public override string GetName(int ordinal) => Columns.ColumnName(ordinal);

    /// <summary>The position of a column. An exact match goes before one that differs in case.</summary>
    /// <param name="name">The name.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is none.</exception>
    public override int GetOrdinal(string name)
    {
        var columns = Columns;
        var similar = -1;
        for (var i = 0; i < columns.Count; i++)
        {
            var candidate = columns.ColumnName(i);
            if (candidate == name)
            {
                return i;
            }

            if (similar < 0 && candidate.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                similar = i;
            }
        }

        return similar >= 0 ? similar : throw new ArgumentOutOfRangeException(nameof(name), name, "There is no column of that name.");
    }

    /// <inheritdoc/>
    public override bool IsDBNull(int ordinal) => Row.IsDBNull(ordinal);

    /// <inheritdoc/>
    public override bool GetBoolean(int ordinal) => Row.GetBoolean(ordinal);

    /// <inheritdoc/>
    public override byte GetByte(int ordinal) => Row.GetByte(ordinal);

    /// <inheritdoc/>
    public override char GetChar(int ordinal) => Row.GetChar(ordinal);

    /// <inheritdoc/>
    public override DateTime GetDateTime(int ordinal) => Row.GetDateTime(ordinal);

    /// <summary>The value as a point in time with its offset.</summary>
    /// <param name="ordinal">The column.</param>
    public DateTimeOffset GetDateTimeOffset(int ordinal) => Row.GetDateTimeOffset(ordinal);

    /// <summary>The value as a span of time; a number counts days.</summary>
    /// <param name="ordinal">The column.</param>
    public TimeSpan GetTimeSpan(int ordinal) => Row.GetTimeSpan(ordinal);

    /// <inheritdoc/>
    public override decimal GetDecimal(int ordinal) => Row.GetDecimal(ordinal);

    /// <inheritdoc/>
    public override double GetDouble(int ordinal) => Row.GetDouble(ordinal);

    /// <inheritdoc/>
    public override float GetFloat(int ordinal) => Row.GetFloat(ordinal);

    /// <inheritdoc/>
    public override Guid GetGuid(int ordinal) => Row.GetGuid(ordinal);

    /// <inheritdoc/>
    public override short GetInt16(int ordinal) => Row.GetInt16(ordinal);

    /// <inheritdoc/>
    public override int GetInt32(int ordinal) => Row.GetInt32(ordinal);

    /// <inheritdoc/>
    public override long GetInt64(int ordinal) => Row.GetInt64(ordinal);

    /// <inheritdoc/>
    public override string GetString(int ordinal) => Row.GetString(ordinal);

    /// <inheritdoc/>
    public override object GetValue(int ordinal) => Row.GetValue(ordinal);

    /// <inheritdoc/>
    public override T GetFieldValue<T>(int ordinal)
    {
        if (typeof(T) == typeof(Stream))
        {
            return (T)(object)GetStream(ordinal);
        }

        return typeof(T) == typeof(TextReader) ? (T)(object)GetTextReader(ordinal) : Row.GetFieldValue<T>(ordinal);
    }

    /// <inheritdoc/>
    public override int GetValues(object[] values)
    {
        ArgumentNullException.ThrowIfNull(values);
        var row = Row;
        var count = Math.Min(values.Length, row.Count);
        for (var i = 0; i < count; i++)
        {
            values[i] = row.GetValue(i);
        }

        return count;
    }

    /// <inheritdoc/>
    public override long GetBytes(int ordinal, long dataOffset, byte[]? buffer, int bufferOffset, int length)
    {
        var blob = Row.GetBlob(ordinal);
        return buffer is null ? blob.Length - dataOffset : Copy<byte>(blob, dataOffset, buffer.AsSpan(bufferOffset), length);
    }

    /// <inheritdoc/>
    public override long GetChars(int ordinal, long dataOffset, char[]? buffer, int bufferOffset, int length)
    {
        var text = Row.GetString(ordinal);
        return buffer is null ? text.Length - dataOffset : Copy(text.AsSpan(), dataOffset, buffer.AsSpan(bufferOffset), length);
    }

    /// <inheritdoc/>
    public override Stream GetStream(int ordinal) => new MemoryStream(Row.GetBlob(ordinal), writable: false);

    /// <inheritdoc/>
    public override TextReader GetTextReader(int ordinal) =>
        Row.IsDBNull(ordinal) ? new StringReader(string.Empty) : new StringReader(Row.GetString(ordinal));

    /// <summary>Runs the first statements.</summary>
    internal async ValueTask StartAsync(bool async, CancellationToken cancellationToken) =>
        await NextResultAsync(async, cancellationToken).ConfigureAwait(false);

    /// <summary>From any thread: the next call ends.</summary>
    internal void Cancel() => _cancelled = true;

    internal async ValueTask CloseAsync(bool async)
    {
        if (_closed)
        {
            return;
        }

        try
        {
            while (!_atEnd && !_cancelled)
            {
                await NextResultAsync(async, CancellationToken.None).ConfigureAwait(false);
            }
        }
        finally
        {
            End(null);
            if (_closesConnection && _connection.State != System.Data.ConnectionState.Closed)
            {
                await _connection.CloseAsync(async).ConfigureAwait(false);
            }
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Close();
        }

        base.Dispose(disposing);
    }

    private static readonly Task<bool> TrueTask = Task.FromResult(true);
    private static readonly Task<bool> FalseTask = Task.FromResult(false);

    private static InvalidOperationException NoData() => new("No data exists for the row/column.");

    private static long Copy<T>(ReadOnlySpan<T> source, long offset, Span<T> target, int length)
    {
        if (offset >= source.Length)
        {
            return 0;
        }

        var part = source[(int)offset..];
        part = part[..Math.Min(part.Length, length)];
        part.CopyTo(target);
        return part.Length;
    }

    private bool ReadRow(CancellationToken cancellationToken)
    {
        NotClosed();
        var interruption = Begin(cancellationToken);
        try
        {
            return _results.NextRow();
        }
        catch (Exception e)
        {
            End(e);
            throw;
        }
        finally
        {
            interruption.End();
        }
    }

    private async ValueTask<bool> NextResultAsync(bool async, CancellationToken cancellationToken)
    {
        NotClosed();
        if (_atEnd)
        {
            return false;
        }

        var interruption = Begin(cancellationToken);
        try
        {
            var found = await _results.NextResultAsync(async).ConfigureAwait(false);
            _atEnd = !found;
            return found;
        }
        catch (Exception e)
        {
            End(e);
            throw;
        }
        finally
        {
            interruption.End();
        }
    }

    private Interruption Begin(CancellationToken cancellationToken)
    {
        if (_cancelled)
        {
            var error = new OperationCanceledException("The command was cancelled.");
            End(error);
            throw error;
        }

        var interruption = _session.Handle.Interruption;
        interruption.Begin(_owner, _timeoutSeconds, cancellationToken);
        return interruption;
    }

    private void End(Exception? error)
    {
        if (_closed)
        {
            return;
        }

        _closed = _atEnd = true;
        _results.Close();
        _connection.RemoveReader(this);
        if (_command is not null)
        {
            _command.Reader = null;
        }

        _operation.End(error);
        if (error is not null && _closesConnection)
        {
            _connection.Close();
        }
    }

    private DqliteDataReader NotClosed([System.Runtime.CompilerServices.CallerMemberName] string operation = "") =>
        _closed ? throw new InvalidOperationException($"Invalid attempt to call {operation} when reader is closed.") : this;
}
