using static SQLitePCL.raw;

namespace Dqlite.Net.Data;

/// <summary>Runs the statements of one command text, one after the other. Every failure of every statement is thrown.</summary>
internal sealed class Execution : IResultSource
{
    private readonly Session _session;
    private readonly Script _script;
    private readonly DqliteParameterCollection? _parameters;
    private readonly ReadLevel _level;
    private readonly bool _isPartOfBatch;
    private int _next;
    private BufferedRows? _buffered;
    private bool _firstRowPending;
    private bool _onRow;
    private bool _closed;

    /// <summary>Starts with the first statement.</summary>
    /// <param name="session">The connection.</param>
    /// <param name="sql">The command text.</param>
    /// <param name="parameters">Its parameters; null: none.</param>
    /// <param name="level">For its reads.</param>
    /// <param name="isPartOfBatch">The caller gates: nothing leaves before the whole batch is committed.</param>
    public Execution(Session session, string sql, DqliteParameterCollection? parameters, ReadLevel level, bool isPartOfBatch = false)
    {
        _session = session;
        _script = session.Handle.Scripts.Take(sql) ?? new Script(session.Handle, sql);
        _parameters = parameters;
        _level = level;
        _isPartOfBatch = isPartOfBatch;
    }

    public Statement? Columns { get; private set; }

    public ValueSource? Row => !_onRow ? null : _buffered is null ? Columns : _buffered;

    public bool HasRows { get; private set; }

    public int RecordsAffected { get; private set; } = -1;

    public bool NextRow()
    {
        if (Columns is null)
        {
            return false;
        }

        if (_buffered is not null)
        {
            _onRow = _buffered.Next();
        }
        else if (_firstRowPending)
        {
            _firstRowPending = false;
            _onRow = true;
        }
        else if (_onRow)
        {
            _onRow = false;
            _onRow = _session.StepOn(Columns);
        }

        return _onRow;
    }

    public async ValueTask<bool> NextResultAsync(bool async)
    {
        EndResult();
        while (await NextStatementAsync(async).ConfigureAwait(false) is { } statement)
        {
            Bind(statement);
            var result = await _session.RunAsync(statement, _level, async).ConfigureAwait(false);
            if (result.Changes >= 0)
            {
                RecordsAffected = Math.Max(RecordsAffected, 0) + result.Changes;
            }

            if (statement.Count != 0)
            {
                Columns = statement;
                _buffered = result.Buffered;
                _firstRowPending = result.OnRow;
                HasRows = result.OnRow || result.Buffered is { Rows: > 0 };
                await LeaveAsync(async).ConfigureAwait(false);
                return true;
            }
        }

        await LeaveAsync(async).ConfigureAwait(false);
        return false;
    }

    public void Close()
    {
        if (!_closed)
        {
            _closed = true;
            EndResult();
            _session.Handle.Scripts.Give(_script);
        }
    }

    /// <summary>Prepares everything, without running it.</summary>
    public void Prepare()
    {
        for (var i = 0; ; i++)
        {
            if (_script.TryGet(i, out var statement) is var rc && rc != SQLITE_OK)
            {
                throw Failure(rc);
            }

            if (statement is null)
            {
                return;
            }
        }
    }

    /// <summary>Whether the text can be prepared as it stands and needs no writer; false when that cannot be told yet.</summary>
    public bool IsKnownToRead()
    {
        for (var i = 0; _script.TryGet(i, out var statement) == SQLITE_OK; i++)
        {
            if (statement is null)
            {
                return true;
            }

            if (statement.NeedsWriter || statement.Keyword != SqlKeyword.Other)
            {
                return false;
            }
        }

        return false;
    }

    private async ValueTask LeaveAsync(bool async)
    {
        if (_isPartOfBatch)
        {
            return;
        }

        await _session.GateAsync(_level, async).ConfigureAwait(false);
        _session.PublishRowId();
    }

    private void EndResult()
    {
        if (Columns is not null)
        {
            Columns.Reset();
            Columns = null;
            _buffered = null;
            _onRow = _firstRowPending = HasRows = false;
        }
    }

    private async ValueTask<Statement?> NextStatementAsync(bool async)
    {
        if (_script.UnpreparedKeyword(_next) == SqlKeyword.Pragma)
        {
            // A PRAGMA may read the schema while it is prepared.
            await _session.BarrierBeforeSnapshotAsync(_level, async).ConfigureAwait(false);
        }

        var rc = _script.TryGet(_next, out var statement);
        if (rc != SQLITE_OK && !Errors.IsIndependentOfData(rc))
        {
            // "No such table" was read from a schema that may be stale, or a draft.
            if (_session.InTransaction)
            {
                _session.MarkRead();
            }
            else
            {
                await _session.BarrierAsync(_level, async).ConfigureAwait(false);
                rc = _script.TryGet(_next, out statement);
            }
        }

        if (rc != SQLITE_OK)
        {
            var error = Failure(rc);
            await _session.GateAsync(_level, async).ConfigureAwait(false);
            throw error;
        }

        _next++;
        return statement;
    }

    private Exception Failure(int rc) => _session.Handle.DeniedBecause is { } reason && (rc & 0xff) == SQLITE_AUTH
        ? new DqliteException(reason, SQLITE_AUTH)
        : Errors.FromCode(rc, _session.Handle.Db, _session.Engine.LeaderAddress);

    private void Bind(Statement statement)
    {
        var names = statement.ParameterNames;
        List<string>? missing = null;
        for (var i = 0; i < names.Length; i++)
        {
            var parameter = Find(names[i], i);
            if (parameter is null)
            {
                (missing ??= []).Add(names[i] ?? string.Create(System.Globalization.CultureInfo.InvariantCulture, $"?{i + 1}"));
                continue;
            }

            if (parameter.Value is null)
            {
                throw new InvalidOperationException("Value must be set.");
            }

            var rc = _session.Handle.Parameters.Bind(statement.Handle, i + 1, parameter.Value, parameter.ExplicitType, parameter.MaxLength);
            if (rc != SQLITE_OK)
            {
                throw Failure(rc);
            }
        }

        if (missing is not null && sqlite3_stmt_isexplain(statement.Handle) == 0)
        {
            throw new InvalidOperationException($"Must add values for the following parameters: {string.Join(", ", missing)}");
        }
    }

    private DqliteParameter? Find(string? name, int index)
    {
        if (_parameters is null)
        {
            return null;
        }

        if (name is null)
        {
            return FindPositional(index);
        }

        if (name[0] == '?')
        {
            var numbered = _parameters.IndexOf(name);
            return FindPositional(numbered >= 0 ? numbered : int.Parse(name.AsSpan(1), System.Globalization.CultureInfo.InvariantCulture) - 1);
        }

        // Usually they are in the order of the statement.
        if (index < _parameters.Count && _parameters[index].ParameterName == name)
        {
            return _parameters[index];
        }

        DqliteParameter? withoutPrefix = null;
        for (var i = 0; i < _parameters.Count; i++)
        {
            var candidate = _parameters[i].ParameterName;
            if (candidate == name)
            {
                return _parameters[i];
            }

            if (candidate.Length == name.Length - 1 && name.AsSpan(1).SequenceEqual(candidate))
            {
                withoutPrefix ??= _parameters[i];
            }
        }

        return withoutPrefix;
    }

    private DqliteParameter? FindPositional(int index) => index >= 0 && index < _parameters!.Count ? _parameters[index] : null;
}
