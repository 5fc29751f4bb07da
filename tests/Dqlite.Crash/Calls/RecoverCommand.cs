using Dqlite.Crash.Nodes;
using Dqlite.Net;
using Quickstart;

namespace Dqlite.Crash.Calls;

/// <summary>
/// A child: starts what a scenario left behind, as far as it got. It says "row TAG" for each row, "problem TEXT" for what is wrong, and "done"
/// once the nodes have taken a write.
/// </summary>
internal static class RecoverCommand
{
    public const string Name = "recover";
    public const string RowWord = "row ";
    public const string ProblemWord = "problem ";
    public const string DoneWord = "done";

    public static IEnumerable<string> Words(string data, IReadOnlyList<string> addresses) => [Name, "--data", data, "--addresses", string.Join(',', addresses)];

    public static async Task<int> RunAsync(string[] words)
    {
        var arguments = Arguments.Parse(words, "data", "addresses");
        await using var nodes = new ScenarioNodes(arguments.Get("data"), arguments.Get("addresses").Split(','));
        await nodes.StartAllAsync();
        await nodes.PrepareAsync();
        var facts = await Facts.CollectAsync([.. nodes.Running]);
        if (Facts.Disagreement(facts) is { } disagreement)
        {
            ChildReport.Line($"{ProblemWord}{disagreement}: {string.Join(", ", facts)}");
        }

        await SayRowsAsync(await nodes.Running.First().OpenDatabaseAsync(Facts.Database));
        await new Scenario(nodes, "recovered-").WriteOneAsync(withBlob: true);
        ChildReport.Line(DoneWord);
        return 0;
    }

    private static async Task SayRowsAsync(DqliteDataSource source)
    {
        await using var connection = await source.OpenConnectionAsync();
        connection.Consistency = ReadConsistency.Local; // the nodes have agreed
        await using (var rows = new DqliteCommand("SELECT tag FROM rows", connection))
        await using (var reader = await rows.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                ChildReport.Line(RowWord + reader.GetString(0));
            }
        }

        await using var torn = new DqliteCommand("SELECT count(*) FROM bulk WHERE tag NOT IN (SELECT tag FROM rows) OR length(data) = 0", connection);
        if (await torn.ExecuteScalarAsync() is not 0L)
        {
            ChildReport.Line(ProblemWord + "a transaction is there in part");
        }
    }
}
