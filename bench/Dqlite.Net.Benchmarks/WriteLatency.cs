using System.Data.Common;
using BenchmarkDotNet.Attributes;
using Microsoft.Data.Sqlite;

namespace Dqlite.Net.Benchmarks;

/// <summary>One writer, single-row INSERT, each a durable transaction.</summary>
public class WriteLatency : IDisposable
{
    private ScratchDirectory? _directory;
    private SqliteConnection? _plainConnection;
    private LocalCluster? _one;
    private LocalCluster? _three;
    private DbCommand? _plain;
    private DbCommand? _oneNode;
    private DbCommand? _threeNodes;

    /// <summary>Starts both clusters and opens the plain file, on the same disk.</summary>
    [GlobalSetup]
    public void Setup() => SetupAsync().GetAwaiter().GetResult();

    /// <summary>Plain SQLite, WAL, synchronous=FULL.</summary>
    [Benchmark(Baseline = true)]
    public int PlainSqlite() => _plain!.ExecuteNonQuery();

    /// <summary>A cluster of one.</summary>
    [Benchmark]
    public int OneNode() => _oneNode!.ExecuteNonQueryAsync().GetAwaiter().GetResult();

    /// <summary>Three nodes in this process, on one disk.</summary>
    [Benchmark]
    public int ThreeNodes() => _threeNodes!.ExecuteNonQueryAsync().GetAwaiter().GetResult();

    /// <summary>Stops everything.</summary>
    [GlobalCleanup]
    public void Cleanup() => CleanupAsync().GetAwaiter().GetResult();

    /// <inheritdoc/>
    public void Dispose()
    {
        _plain?.Dispose();
        _oneNode?.Dispose();
        _threeNodes?.Dispose();
        _plainConnection?.Dispose();
        SqliteConnection.ClearAllPools();
        _directory?.Dispose();
        GC.SuppressFinalize(this);
    }

    private async Task SetupAsync()
    {
        _directory = new ScratchDirectory(ScratchDirectory.DefaultParent);
        _plainConnection = Workload.OpenPlain(_directory.Sub("plain"));
        _one = await LocalCluster.StartAsync(_directory.Sub("one"), 1);
        _three = await LocalCluster.StartAsync(_directory.Sub("three"), 3);
        _plain = Workload.PrepareInsert(_plainConnection);
        _oneNode = Workload.PrepareInsert(await _one.OpenAsync());
        _threeNodes = Workload.PrepareInsert(await _three.OpenAsync());
    }

    private async Task CleanupAsync()
    {
        await _one!.DisposeAsync();
        await _three!.DisposeAsync();
        Dispose();
    }
}
