using Dqlite.Net.Data;

namespace Dqlite.Net.Tests.Data;

/// <summary>A database of the local engine, and a connection to it, for each test.</summary>
internal abstract class DataFixture
{
    /// <summary>Ends a test that hangs; no test waits for time to pass.</summary>
    protected const int HangMs = 20_000;

    protected LocalEngine Engine { get; private set; } = null!;

    protected DqliteDataSource Source { get; private set; } = null!;

    protected DqliteConnection Connection { get; private set; } = null!;

    protected virtual ConnectionSettings Settings => new();

    [SetUp]
    public void SetUpDatabase()
    {
        Engine = new LocalEngine();
        Source = new DqliteDataSource(Engine, Settings);
        Connection = Source.OpenConnection();
        Run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)");
    }

    [TearDown]
    public void TearDownDatabase()
    {
        Engine.ReleaseProposals();
        Engine.ReleaseCommits();
        Engine.ReleaseReads();
        Connection.Dispose();
        Source.Dispose();
        Engine.Dispose();
    }

    protected int Run(string sql, params (string Name, object Value)[] parameters) => Command(Connection, sql, parameters).ExecuteNonQuery();

    protected object? Scalar(string sql, params (string Name, object Value)[] parameters) => Command(Connection, sql, parameters).ExecuteScalar();

    protected long Count() => (long)Scalar("SELECT count(*) FROM t")!;

    /// <summary>What is committed, seen by another connection.</summary>
    protected long CommittedCount()
    {
        using var other = Source.OpenConnection();
        return (long)Command(other, "SELECT count(*) FROM t").ExecuteScalar()!;
    }

    protected static DqliteCommand Command(DqliteConnection connection, string sql, params (string Name, object Value)[] parameters)
    {
        var command = new DqliteCommand(sql, connection, connection.Transaction);
        foreach (var (name, value) in parameters)
        {
            command.Parameters.AddWithValue(name, value);
        }

        return command;
    }

    protected static async Task<T> InTime<T>(Task<T> task) => await task.WaitAsync(TimeSpan.FromMilliseconds(HangMs));

    protected static async Task InTime(Task task) => await task.WaitAsync(TimeSpan.FromMilliseconds(HangMs));

    /// <summary>Runs synchronous code on a thread of its own, so that the test can watch it.</summary>
    protected static Task<T> OnThread<T>(Func<T> body) => Task.Factory.StartNew(body, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
