namespace Dqlite.Net.Data;

/// <summary>
/// Runs the commands of a batch in one transaction and keeps their results until it is committed. Inside a transaction of the connection it
/// is a savepoint, and the results leave through that transaction's gate.
/// </summary>
internal sealed class BatchExecution(Session session, DqliteBatchCommandCollection commands, ReadLevel level) : IResultSource
{
    private const string Savepoint = "dqlite_batch";

    private readonly List<(Execution Execution, Statement Columns, BufferedRows Rows)> _results = [];
    private readonly int[] _recordsAffected = new int[commands.Count];
    private int _current = -1;

    public Statement? Columns => OnResult ? _results[_current].Columns : null;

    public ValueSource? Row => OnResult && _results[_current].Rows.OnRow ? _results[_current].Rows : null;

    public bool HasRows => OnResult && _results[_current].Rows.Rows > 0;

    public int RecordsAffected { get; private set; } = -1;

    private bool OnResult => _current >= 0 && _current < _results.Count;

    public bool NextRow() => OnResult && _results[_current].Rows.Next();

    public async ValueTask<bool> NextResultAsync(bool async)
    {
        if (_current < 0)
        {
            await RunAsync(async).ConfigureAwait(false);
        }

        _current++;
        return OnResult;
    }

    public void Close()
    {
        foreach (var (execution, _, _) in _results)
        {
            execution.Close();
        }

        _results.Clear();
    }

    private async ValueTask RunAsync(bool async)
    {
        var isNested = session.InTransaction;
        var begin = isNested ? $"SAVEPOINT {Savepoint}" : OnlyReads() ? "BEGIN" : "BEGIN IMMEDIATE";
        await ControlAsync(begin, async).ConfigureAwait(false);
        try
        {
            for (var i = 0; i < commands.Count; i++)
            {
                _recordsAffected[i] = await RunCommandAsync(commands[i], async).ConfigureAwait(false);
            }

            if (isNested)
            {
                // Part of a transaction: its results leave before that commits, as those of any of its commands.
                await session.GateAsync(level, async).ConfigureAwait(false);
            }

            await ControlAsync(isNested ? $"RELEASE {Savepoint}" : "COMMIT", async).ConfigureAwait(false);
        }
        catch
        {
            Close();
            await UndoAsync(isNested, async).ConfigureAwait(false);
            throw;
        }

        Publish();
    }

    private async ValueTask<int> RunCommandAsync(DqliteBatchCommand command, bool async)
    {
        var execution = new Execution(session, command.CommandText, command.Parameters, level, isPartOfBatch: true);
        var results = _results.Count;
        try
        {
            while (await execution.NextResultAsync(async).ConfigureAwait(false))
            {
                var rows = new BufferedRows(execution.Columns!.Count);
                while (execution.NextRow())
                {
                    rows.Add(execution.Row!);
                }

                _results.Add((execution, execution.Columns, rows));
            }

            return execution.RecordsAffected;
        }
        finally
        {
            // One with results lends its statements to the reader until that is closed.
            if (_results.Count == results)
            {
                execution.Close();
            }
        }
    }

    private void Publish()
    {
        session.PublishRowId();
        for (var i = 0; i < _recordsAffected.Length; i++)
        {
            commands[i].SetRecordsAffected(_recordsAffected[i]);
            if (_recordsAffected[i] >= 0)
            {
                RecordsAffected = Math.Max(RecordsAffected, 0) + _recordsAffected[i];
            }
        }
    }

    private async ValueTask UndoAsync(bool isNested, bool async)
    {
        if (!isNested)
        {
            session.Abort();
        }
        else if (session.InTransaction)
        {
            await ControlAsync($"ROLLBACK TO {Savepoint}", async).ConfigureAwait(false);
            await ControlAsync($"RELEASE {Savepoint}", async).ConfigureAwait(false);
        }
    }

    private bool OnlyReads()
    {
        for (var i = 0; i < commands.Count; i++)
        {
            var execution = new Execution(session, commands[i].CommandText, null, level, isPartOfBatch: true);
            var reads = execution.IsKnownToRead();
            execution.Close();
            if (!reads)
            {
                return false;
            }
        }

        return true;
    }

    private async ValueTask ControlAsync(string sql, bool async)
    {
        var execution = new Execution(session, sql, null, level, isPartOfBatch: true);
        try
        {
            await execution.NextResultAsync(async).ConfigureAwait(false);
        }
        finally
        {
            execution.Close();
        }
    }
}
