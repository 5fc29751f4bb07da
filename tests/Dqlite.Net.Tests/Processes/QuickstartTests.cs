using Microsoft.Data.Sqlite;

namespace Dqlite.Net.Tests.Processes;

/// <summary>The sample's output is read by scripts.</summary>
[TestFixture]
[NonParallelizable]
public sealed class QuickstartTests
{
    private const string NodeLine = "^node {0}: rows {1}, index [0-9]+, sha256 [0-9a-f]{{64}}, integrity ok$";

    [TestCase("leader", "[0-9]+ ms")]
    [TestCase("follower", "[0-9]+ ms")]
    [TestCase("none", "none")]
    public async Task It_prints_these_facts_and_nothing_else(string kill, string firstWrite)
    {
        using var run = await QuickstartProcess.RunAsync("--rows", "600", "--kill", kill);
        Assert.That(run.ExitCode, Is.Zero, string.Join('\n', run.Output.Concat(run.Errors)));
        string[] expected =
        [
            "^acknowledged: 600$",
            "^unknown outcomes: [0-9]+$",
            string.Format(null, NodeLine, 1, 600),
            string.Format(null, NodeLine, 2, 600),
            string.Format(null, NodeLine, 3, 600),
            $"^first write after the kill: {firstWrite}$",
            "^commits per second: [0-9]+ before, [0-9]+ after$",
            "^result: ok$",
        ];
        Assert.That(run.Output, Has.Length.EqualTo(expected.Length), string.Join('\n', run.Output));
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.That(run.Output[i], Does.Match(expected[i]));
        }
    }

    [Test]
    public async Task A_second_run_on_the_same_directory_adds_its_rows()
    {
        var directory = Directory.CreateTempSubdirectory("dqlite-quickstart-").FullName;
        try
        {
            for (var round = 1; round <= 2; round++)
            {
                using var run = await QuickstartProcess.RunAsync("--rows", "100", "--data", directory);
                Assert.That(run.ExitCode, Is.Zero, string.Join('\n', run.Output.Concat(run.Errors)));
                Assert.That(run.Output[0], Is.EqualTo("acknowledged: 100"));
                Assert.That(run.Output[2], Does.Match(string.Format(null, NodeLine, 1, 100 * round)));
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Test]
    public async Task An_existing_file_in_WAL_mode_is_imported_whole()
    {
        var directory = Directory.CreateTempSubdirectory("dqlite-quickstart-").FullName;
        try
        {
            var path = Path.Combine(directory, "existing.db");
            using var source = new SqliteConnection($"Data Source={path};Pooling=False");
            source.Open();
            using (var command = source.CreateCommand())
            {
                command.CommandText = """
                    PRAGMA journal_mode=WAL;
                    CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL, photo BLOB);
                    CREATE TABLE visit (person INTEGER REFERENCES person, day TEXT, PRIMARY KEY (person, day)) WITHOUT ROWID;
                    CREATE TABLE [odd "name"] (a, b);
                    CREATE INDEX by_name ON person (name);
                    CREATE VIEW guests AS SELECT name, day FROM person JOIN visit ON person = id;
                    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                    INSERT INTO person SELECT i, 'person ' || i, randomblob(i % 500) FROM n;
                    INSERT INTO visit SELECT id, '2024-01-' || (id % 28) FROM person;
                    INSERT INTO [odd "name"] VALUES (1.5, NULL), ('text', x'00ff');
                    """;
                command.ExecuteNonQuery();
            }

            // The connection stays open: the rows are in the -wal file only, and must be found there.
            Assert.That(new FileInfo(path + "-wal").Length, Is.Positive);
            using var run = await QuickstartProcess.RunAsync("--rows", "100", "--import", path);
            Assert.That(run.ExitCode, Is.Zero, string.Join('\n', run.Output.Concat(run.Errors)));
            Assert.That(run.Output[^1], Is.EqualTo("result: ok"));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [TestCase("--nodes", "0")]
    [TestCase("--kill", "all")]
    [TestCase("--nodes", "2", "--kill", "leader")]
    [TestCase("--import", "/nonexistent.db")]
    [TestCase("verify", "--data", "/nonexistent", "--ledger", "/nonexistent")]
    [TestCase("node", "--id", "2", "--address", "127.0.0.1:1", "--members", "127.0.0.1:1", "--data", "/nonexistent")]
    public async Task Wrong_arguments_get_one_clear_line(params string[] arguments)
    {
        using var run = await QuickstartProcess.RunAsync(arguments);
        Assert.That(run.ExitCode, Is.EqualTo(2));
        Assert.That(run.Output, Is.Empty);
        Assert.That(run.Errors, Has.Length.EqualTo(1), string.Join('\n', run.Errors));
    }
}
