using System.Text;

namespace Dqlite.Net.Data;

/// <summary>
/// The statements of one command text, prepared one at a time: a later one may need what an earlier one made. A script belongs to one
/// execution at a time; between them the handle's <see cref="ScriptCache"/> keeps it prepared.
/// </summary>
internal sealed class Script : IDisposable
{
    private readonly DatabaseHandle _handle;
    private readonly byte[] _utf8;
    private readonly List<Statement> _statements = new(1);
    private int _preparedBytes;

    public Script(DatabaseHandle handle, string sql)
    {
        _handle = handle;
        Sql = sql;
        _utf8 = Encoding.UTF8.GetBytes(sql);
    }

    public string Sql { get; }

    /// <summary>Whether it may be used again as it is: statements that do their work when they are prepared may not.</summary>
    public bool IsReusable { get; private set; } = true;

    /// <summary>Whether all of the text is prepared.</summary>
    public bool IsComplete => _preparedBytes == _utf8.Length;

    /// <summary>Whether statement <paramref name="index"/> must still be prepared, and is no <see cref="SqlKeyword.Other"/>.</summary>
    /// <param name="index">Its position.</param>
    public SqlKeyword UnpreparedKeyword(int index) => index < _statements.Count ? SqlKeyword.Other : SqlText.KeywordOf(Rest());

    /// <summary>The statement at a position.</summary>
    /// <param name="index">At most one behind those that are prepared.</param>
    /// <param name="statement">Null at the end of the script.</param>
    /// <returns>SQLite's result code; after a failure the call may be repeated.</returns>
    public int TryGet(int index, out Statement? statement)
    {
        statement = null;
        while (index >= _statements.Count)
        {
            if (IsComplete)
            {
                return SQLitePCL.raw.SQLITE_OK;
            }

            var rc = _handle.Prepare(_utf8.AsSpan(_preparedBytes), Rest(), out var prepared, out var consumed);
            if (rc != SQLitePCL.raw.SQLITE_OK)
            {
                return rc;
            }

            _preparedBytes += consumed;
            if (prepared is not null)
            {
                IsReusable &= prepared.Keyword is not (SqlKeyword.Pragma or SqlKeyword.Attach);
                _statements.Add(prepared);
            }
        }

        statement = _statements[index];
        return SQLitePCL.raw.SQLITE_OK;
    }

    /// <summary>Ends an execution: parameters hold on to memory.</summary>
    public void Release()
    {
        foreach (var statement in _statements)
        {
            statement.Reset();
            statement.ClearBindings();
        }
    }

    public void Dispose()
    {
        foreach (var statement in _statements)
        {
            statement.Dispose();
        }

        _statements.Clear();
    }

    private ReadOnlySpan<char> Rest()
    {
        if (_preparedBytes == 0)
        {
            return Sql;
        }

        return _utf8.Length == Sql.Length ? Sql.AsSpan(_preparedBytes) : Encoding.UTF8.GetString(_utf8.AsSpan(_preparedBytes));
    }
}

/// <summary>The scripts that a handle keeps prepared, the least recently used going first.</summary>
internal sealed class ScriptCache : IDisposable
{
    internal const int Capacity = 64;
    internal const int MaxSqlLength = 16 * 1024;

    private readonly Dictionary<string, LinkedListNode<Script>> _bySql = new(StringComparer.Ordinal);
    private readonly LinkedList<Script> _byUse = new();

    public int Count => _bySql.Count;

    /// <summary>Takes a script out, if there is one.</summary>
    /// <param name="sql">The command text.</param>
    public Script? Take(string sql)
    {
        if (!_bySql.Remove(sql, out var node))
        {
            return null;
        }

        _byUse.Remove(node);
        return node.Value;
    }

    /// <summary>Gives a script back; it is kept or disposed.</summary>
    /// <param name="script">Not in use any more.</param>
    public void Give(Script script)
    {
        script.Release();
        if (!script.IsReusable || !script.IsComplete || script.Sql.Length > MaxSqlLength || _bySql.ContainsKey(script.Sql))
        {
            script.Dispose();
            return;
        }

        _bySql.Add(script.Sql, _byUse.AddLast(script));
        if (_bySql.Count > Capacity)
        {
            var oldest = _byUse.First!.Value;
            _byUse.RemoveFirst();
            _bySql.Remove(oldest.Sql);
            oldest.Dispose();
        }
    }

    public void Dispose()
    {
        foreach (var script in _byUse)
        {
            script.Dispose();
        }

        _byUse.Clear();
        _bySql.Clear();
    }
}
