using NUnit.Framework.Interfaces;

namespace Dqlite.Net.Tests.Engine;

/// <summary>A place for nodes in one process, for each test; what the nodes logged is printed when the test failed.</summary>
[NonParallelizable]
internal abstract class EngineFixture
{
    /// <summary>Ends a wait that hangs; nothing waits for time to pass. Long, for machines that do much else.</summary>
    protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    protected TestCluster Cluster { get; private set; } = null!;

    [SetUp]
    public void SetUpCluster() => Cluster = new TestCluster();

    [TearDown]
    public async Task TearDownClusterAsync()
    {
        var failed = TestContext.CurrentContext.Result.Outcome.Status == TestStatus.Failed;
        if (failed)
        {
            Cluster.Log.Print();
        }

        await Cluster.DisposeAsync();
    }

    protected static Task<T> InTime<T>(Task<T> task) => task.WaitAsync(Patience);

    protected static Task InTime(Task task) => task.WaitAsync(Patience);

    /// <summary>Waits for a condition that no event announces.</summary>
    protected static Task EventuallyAsync(Func<bool> condition, string what) => TestCluster.EventuallyAsync(() => Task.FromResult(condition()), what);

    protected static Task EventuallyAsync(Func<Task<bool>> condition, string what) => TestCluster.EventuallyAsync(condition, what);

    protected static async Task<int> RunAsync(DqliteDataSource source, string sql)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var command = new DqliteCommand(sql, connection);
        return await InTime(command.ExecuteNonQueryAsync());
    }

    protected static async Task<T> ScalarAsync<T>(DqliteDataSource source, string sql, ReadConsistency? consistency = null)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var command = new DqliteCommand(sql, connection) { Consistency = consistency };
        return (T)(await InTime(command.ExecuteScalarAsync()))!;
    }

    /// <summary>The error of a piece of work that must fail with one of the library's.</summary>
    protected static async Task<DqliteException> FailureAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (DqliteException exception)
        {
            return exception;
        }

        throw new AssertionException("The work did not fail.");
    }
}
