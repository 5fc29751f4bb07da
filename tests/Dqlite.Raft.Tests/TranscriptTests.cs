using System.Runtime.CompilerServices;
using Dqlite.Raft.Tests.Harness;

namespace Dqlite.Raft.Tests;

/// <summary>
/// Golden scenarios, Transcripts/*.txt. A change of behaviour shows here as a changed line: read it, and only then accept it with
/// RAFT_REWRITE_TRANSCRIPTS=1.
/// </summary>
public sealed class TranscriptTests
{
    private static string Folder => Path.Combine(Path.GetDirectoryName(ThisFile())!, "Transcripts");

    private static IEnumerable<string> Names => Directory.GetFiles(Folder, "*.txt").Select(file => Path.GetFileNameWithoutExtension(file)!).Order();

    [TestCaseSource(nameof(Names))]
    public void The_transcript_still_holds(string name)
    {
        var path = Path.Combine(Folder, name + ".txt");
        var expected = File.ReadAllText(path).ReplaceLineEndings("\n");
        var actual = new Transcript().Run(expected);
        if (Environment.GetEnvironmentVariable("RAFT_REWRITE_TRANSCRIPTS") == "1")
        {
            File.WriteAllText(path, actual);
        }
        else
        {
            Assert.That(actual, Is.EqualTo(expected));
        }
    }

    private static string ThisFile([CallerFilePath] string path = "") => path;
}
