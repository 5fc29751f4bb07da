using System.Data.Common;

namespace Dqlite.Load.Operations;

/// <summary>INSERT of one row.</summary>
internal sealed class InsertOperation(DbConnection connection, object[] values) : IOperation
{
    private readonly DbCommand _command = connection.Prepare("INSERT INTO t(value) VALUES ($p0)", values[0]);
    private int _next;

    public Task RunAsync()
    {
        _command.Parameters[0].Value = values[_next++ % values.Length];
        return _command.ExecuteNonQueryAsync();
    }

    public void Dispose() => _command.Dispose();
}

/// <summary>UPDATE of one row by its key.</summary>
internal sealed class UpdateOperation(DbConnection connection, LoadSpec spec, int seed) : IOperation
{
    private readonly DbCommand _command = connection.Prepare("UPDATE t SET value = $p0 WHERE id = $p1", "", 1L);
    private readonly object[] _values = Values.Texts(spec.ValueBytes, seed);
    private readonly Random _random = new(seed);
    private int _next;

    public Task RunAsync()
    {
        _command.Parameters[0].Value = _values[_next++ % _values.Length];
        _command.Parameters[1].Value = 1L + _random.Next(spec.Rows);
        return _command.ExecuteNonQueryAsync();
    }

    public void Dispose() => _command.Dispose();
}

/// <summary>SELECT of one row by its key.</summary>
internal sealed class SelectOperation(DbConnection connection, LoadSpec spec, int seed) : IOperation
{
    private readonly DbCommand _command = connection.Prepare("SELECT value FROM t WHERE id = $p0", 1L);
    private readonly Random _random = new(seed);

    public Task RunAsync()
    {
        _command.Parameters[0].Value = 1L + _random.Next(spec.Rows);
        return _command.ExecuteScalarAsync();
    }

    public void Dispose() => _command.Dispose();
}

/// <summary>Nine reads to one update.</summary>
internal sealed class MixedOperation(DbConnection connection, LoadSpec spec, int seed) : IOperation
{
    private const int Period = 10;
    private readonly SelectOperation _select = new(connection, spec, seed);
    private readonly UpdateOperation _update = new(connection, spec, seed);
    private int _next = seed;

    public Task RunAsync() => _next++ % Period == 0 ? _update.RunAsync() : _select.RunAsync();

    public void Dispose()
    {
        _select.Dispose();
        _update.Dispose();
    }
}
