using System.Data.Common;
using BenchmarkDotNet.Attributes;
using Microsoft.Data.Sqlite;

namespace Dqlite.Net.Benchmarks;

/// <summary>One row by its primary key, on the leader.</summary>
public class PointRead : IDisposable
{
    private const int Rows = 10_000;
    private ScratchDirectory? _directory;
    private SqliteConnection? _plainConnection;
    private LocalCluster? _three;
    private DbCommand? _plain;
    private DbCommand? _linearizable;
    private DbCommand? _local;
    private long _next;

    /// <summary>Fills both with the same rows.</summary>
    [GlobalSetup]
    public void Setup() => SetupAsync().GetAwaiter().GetResult();

    /// <summary>Plain SQLite.</summary>
    [Benchmark(Baseline = true)]
    public object? PlainSqlite() => Read(_plain!).ExecuteScalar();

    /// <summary>Sees every commit that was acknowledged anywhere.</summary>
    [Benchmark]
    public object? Linearizable() => Read(_linearizable!).ExecuteScalar();

    /// <summary>What the node has.</summary>
    [Benchmark]
    public object? Local() => Read(_local!).ExecuteScalar();

    /// <summary>Stops everything.</summary>
    [GlobalCleanup]
    public void Cleanup() => CleanupAsync().GetAwaiter().GetResult();

    /// <inheritdoc/>
    public void Dispose()
    {
        _plain?.Dispose();
        _linearizable?.Dispose();
        _local?.Dispose();
        _plainConnection?.Dispose();
        SqliteConnection.ClearAllPools();
        _directory?.Dispose();
        GC.SuppressFinalize(this);
    }

    private static async Task FillAsync(DbConnection connection)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = $"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {Rows}) INSERT INTO t SELECT i, hex(randomblob(50)) FROM n";
        await command.ExecuteNonQueryAsync();
    }

    private static DbCommand PrepareRead(DbConnection connection)
    {
        var command = connection.CreateCommand();
        command.CommandText = "SELECT value FROM t WHERE id = $id";
        var parameter = command.CreateParameter();
        parameter.ParameterName = "$id";
        parameter.Value = 1L;
        command.Parameters.Add(parameter);
        command.Prepare();
        return command;
    }

    private DbCommand Read(DbCommand command)
    {
        _next = (_next + 7919) % Rows;
        command.Parameters[0].Value = _next + 1;
        return command;
    }

    private async Task SetupAsync()
    {
        _directory = new ScratchDirectory(ScratchDirectory.DefaultParent);
        _plainConnection = Workload.OpenPlain(_directory.Sub("plain"));
        _three = await LocalCluster.StartAsync(_directory.Sub("three"), 3);
        await FillAsync(_plainConnection);
        var connection = await _three.OpenAsync();
        await FillAsync(connection);
        _plain = PrepareRead(_plainConnection);
        _linearizable = PrepareRead(connection);
        var local = (DqliteCommand)PrepareRead(await _three.OpenAsync());
        local.Consistency = ReadConsistency.Local;
        _local = local;
    }

    private async Task CleanupAsync()
    {
        await _three!.DisposeAsync();
        Dispose();
    }
}
