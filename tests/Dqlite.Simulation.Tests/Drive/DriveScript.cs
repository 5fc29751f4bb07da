using System.Text.Json;
using Dqlite.Simulation.Drive;

namespace Dqlite.Simulation.Tests.Drive;

/// <summary>
/// A script for the driver, with expectations: a comment that begins with <c>#=</c> is part of the answer to the command before it.
/// </summary>
internal static class DriveScript
{
    private const string Expectation = "#= ";

    public static string Folder => Path.Combine(TestContext.CurrentContext.TestDirectory, "Drive", "Scripts");

    public static IReadOnlyList<string> Names { get; } =
    [
        "election", "replication", "overwrite", "figure_8", "pre_vote", "transfer", "membership", "read_index", "snapshot", "restart",
        "slow_disk", "errors",
    ];

    /// <summary>Runs a script; returns all answers, and fails at the first one that is not as expected.</summary>
    public static string Run(string name, Stream? trace = null)
    {
        var session = new DriveSession(new DriveCluster(trace));
        var answers = new StringWriter { NewLine = "\n" };
        var command = "";
        var last = "{}";
        foreach (var line in File.ReadLines(Path.Combine(Folder, name + ".jsonl")))
        {
            if (line.StartsWith(Expectation, StringComparison.Ordinal))
            {
                using var expected = JsonDocument.Parse(line[Expectation.Length..]);
                using var actual = JsonDocument.Parse(last);
                Assert.That(Holds(expected.RootElement, actual.RootElement), Is.True, $"{command}\nis expected to answer\n{line}\nbut answers\n{last}");
            }
            else if (session.Execute(line) is { } answer)
            {
                (command, last) = (line, answer);
                answers.WriteLine(answer);
            }
        }

        return answers.ToString();
    }

    /// <summary>
    /// Whether an answer has what is expected of it: of objects the named fields; of lists of objects with ids those objects; any other list
    /// as it is, item by item.
    /// </summary>
    private static bool Holds(JsonElement expected, JsonElement actual)
    {
        if (expected.ValueKind != actual.ValueKind)
        {
            return false;
        }

        return expected.ValueKind switch
        {
            JsonValueKind.Object => expected.EnumerateObject().All(field => actual.TryGetProperty(field.Name, out var value) && Holds(field.Value, value)),
            JsonValueKind.Array when expected.GetArrayLength() > 0 && expected.EnumerateArray().All(HasId) =>
                expected.EnumerateArray().All(item => actual.EnumerateArray().Any(other => Holds(item, other))),
            JsonValueKind.Array => expected.GetArrayLength() == actual.GetArrayLength()
                && expected.EnumerateArray().Zip(actual.EnumerateArray(), Holds).All(holds => holds),
            _ => JsonElement.DeepEquals(expected, actual),
        };
    }

    private static bool HasId(JsonElement item) => item.ValueKind == JsonValueKind.Object && item.TryGetProperty("id", out _);
}
