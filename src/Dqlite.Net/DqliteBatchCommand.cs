using System.Collections;
using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;

namespace Dqlite.Net;

/// <summary>One command of a <see cref="DqliteBatch"/>.</summary>
public sealed class DqliteBatchCommand : DbBatchCommand
{
    private string _commandText = string.Empty;
    private DqliteParameterCollection? _parameters;
    private int _recordsAffected;

    /// <summary>Makes an empty command.</summary>
    public DqliteBatchCommand()
    {
    }

    /// <summary>Makes a command.</summary>
    /// <param name="commandText">Its SQL.</param>
    public DqliteBatchCommand(string? commandText) => CommandText = commandText;

    /// <inheritdoc/>
    [AllowNull]
    public override string CommandText
    {
        get => _commandText;
        set => _commandText = value ?? string.Empty;
    }

    /// <summary>Only <see cref="CommandType.Text"/> is supported.</summary>
    /// <exception cref="ArgumentException">Another type is set.</exception>
    public override CommandType CommandType
    {
        get => CommandType.Text;
        set
        {
            if (value != CommandType.Text)
            {
                throw new ArgumentException($"The CommandType '{value}' is not supported: SQLite has no stored procedures.", nameof(value));
            }
        }
    }

    /// <summary>Rows that this command inserted, updated and deleted, once the batch is committed; -1 when it only read.</summary>
    public override int RecordsAffected => _recordsAffected;

    /// <summary>The parameters.</summary>
    public new DqliteParameterCollection Parameters => _parameters ??= new DqliteParameterCollection();

    /// <inheritdoc/>
    public override bool CanCreateParameter => true;

    /// <inheritdoc/>
    protected override DbParameterCollection DbParameterCollection => Parameters;

    /// <inheritdoc/>
    public override DbParameter CreateParameter() => new DqliteParameter();

    internal void SetRecordsAffected(int count) => _recordsAffected = count;
}

/// <summary>The commands of a <see cref="DqliteBatch"/>.</summary>
public sealed class DqliteBatchCommandCollection : DbBatchCommandCollection
{
    private readonly List<DqliteBatchCommand> _commands = [];

    internal DqliteBatchCommandCollection()
    {
    }

    /// <inheritdoc/>
    public override int Count => _commands.Count;

    /// <inheritdoc/>
    public override bool IsReadOnly => false;

    /// <summary>The command at a position.</summary>
    /// <param name="index">The position.</param>
    public new DqliteBatchCommand this[int index]
    {
        get => _commands[index];
        set => _commands[index] = value;
    }

    /// <summary>Adds a command.</summary>
    /// <param name="commandText">Its SQL.</param>
    /// <returns>The command.</returns>
    public DqliteBatchCommand Add(string commandText)
    {
        var command = new DqliteBatchCommand(commandText);
        _commands.Add(command);
        return command;
    }

    /// <inheritdoc/>
    public override void Add(DbBatchCommand item) => _commands.Add((DqliteBatchCommand)item);

    /// <inheritdoc/>
    public override void Clear() => _commands.Clear();

    /// <inheritdoc/>
    public override bool Contains(DbBatchCommand item) => item is DqliteBatchCommand command && _commands.Contains(command);

    /// <inheritdoc/>
    public override void CopyTo(DbBatchCommand[] array, int arrayIndex) => ((ICollection)_commands).CopyTo(array, arrayIndex);

    /// <inheritdoc/>
    public override IEnumerator<DbBatchCommand> GetEnumerator() => _commands.GetEnumerator();

    /// <inheritdoc/>
    public override int IndexOf(DbBatchCommand item) => item is DqliteBatchCommand command ? _commands.IndexOf(command) : -1;

    /// <inheritdoc/>
    public override void Insert(int index, DbBatchCommand item) => _commands.Insert(index, (DqliteBatchCommand)item);

    /// <inheritdoc/>
    public override bool Remove(DbBatchCommand item) => item is DqliteBatchCommand command && _commands.Remove(command);

    /// <inheritdoc/>
    public override void RemoveAt(int index) => _commands.RemoveAt(index);

    /// <inheritdoc/>
    protected override DbBatchCommand GetBatchCommand(int index) => _commands[index];

    /// <inheritdoc/>
    protected override void SetBatchCommand(int index, DbBatchCommand batchCommand) => _commands[index] = (DqliteBatchCommand)batchCommand;
}
