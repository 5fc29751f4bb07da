using System.Data.Common;
using System.Globalization;

namespace Dqlite.Load.Operations;

/// <summary>An explicit transaction of five statements, as in TPC-B with one branch.</summary>
internal sealed class TpcbOperation : IOperation
{
    private const int Tellers = 10;
    private const int Accounts = 10_000;
    private const int MaxDelta = 5_000;
    private readonly DbConnection _connection;
    private readonly Random _random;
    private readonly DbCommand _account;
    private readonly DbCommand _balance;
    private readonly DbCommand _teller;
    private readonly DbCommand _branch;
    private readonly DbCommand _history;
    private readonly DbCommand[] _commands;

    public TpcbOperation(DbConnection connection, int seed)
    {
        _connection = connection;
        _random = new Random(seed);
        _commands =
        [
            _account = connection.Prepare("UPDATE account SET balance = balance + $p0 WHERE id = $p1", 0L, 1L),
            _balance = connection.Prepare("SELECT balance FROM account WHERE id = $p0", 1L),
            _teller = connection.Prepare("UPDATE teller SET balance = balance + $p0 WHERE id = $p1", 0L, 1L),
            _branch = connection.Prepare("UPDATE branch SET balance = balance + $p0 WHERE id = 1", 0L),
            _history = connection.Prepare("INSERT INTO history(account, teller, delta) VALUES ($p0, $p1, $p2)", 1L, 1L, 0L),
        ];
    }

    public static async Task FillAsync(DbConnection connection)
    {
        await connection.RunAsync("""
            CREATE TABLE branch(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
            CREATE TABLE teller(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
            CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, filler TEXT NOT NULL);
            CREATE TABLE history(id INTEGER PRIMARY KEY, account INTEGER NOT NULL, teller INTEGER NOT NULL, delta INTEGER NOT NULL);
            INSERT INTO branch VALUES (1, 0);
            """);
        await connection.RunAsync(Numbers(Tellers) + "INSERT INTO teller SELECT i, 0 FROM n");
        await connection.RunAsync(Numbers(Accounts) + "INSERT INTO account SELECT i, 0, hex(randomblob(40)) FROM n");
    }

    public async Task RunAsync()
    {
        object delta = (long)_random.Next(-MaxDelta, MaxDelta), account = 1L + _random.Next(Accounts), teller = 1L + _random.Next(Tellers);
        await using var transaction = await _connection.BeginTransactionAsync();
        foreach (var command in _commands)
        {
            command.Transaction = transaction;
        }

        await ExecuteAsync(_account, delta, account);
        _balance.Parameters[0].Value = account;
        await _balance.ExecuteScalarAsync();
        await ExecuteAsync(_teller, delta, teller);
        await ExecuteAsync(_branch, delta);
        await ExecuteAsync(_history, account, teller, delta);
        await transaction.CommitAsync();
    }

    public void Dispose() => Array.ForEach(_commands, command => command.Dispose());

    private static string Numbers(int count) =>
        string.Create(CultureInfo.InvariantCulture, $"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) ");

    private static Task<int> ExecuteAsync(DbCommand command, params ReadOnlySpan<object> values)
    {
        for (var i = 0; i < values.Length; i++)
        {
            command.Parameters[i].Value = values[i];
        }

        return command.ExecuteNonQueryAsync();
    }
}
