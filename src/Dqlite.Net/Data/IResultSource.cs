namespace Dqlite.Net.Data;

/// <summary>What a data reader reads: the results of one command, or of a batch.</summary>
internal interface IResultSource
{
    /// <summary>The statement of the current result, for its columns; null when there is none.</summary>
    Statement? Columns { get; }

    /// <summary>The current row; null when there is none.</summary>
    ValueSource? Row { get; }

    /// <summary>Whether the current result has a row at all.</summary>
    bool HasRows { get; }

    /// <summary>Rows inserted, updated or deleted so far; -1 when everything only read.</summary>
    int RecordsAffected { get; }

    /// <summary>Goes to the next row of the current result.</summary>
    bool NextRow();

    /// <summary>Ends the current result and runs on to the next one that has columns.</summary>
    /// <param name="async">False: waits block.</param>
    ValueTask<bool> NextResultAsync(bool async);

    /// <summary>Gives everything back. Statements that have not run do not run.</summary>
    void Close();
}
