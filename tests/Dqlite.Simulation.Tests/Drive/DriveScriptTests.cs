using System.Runtime.CompilerServices;

namespace Dqlite.Simulation.Tests.Drive;

/// <summary>
/// Scenarios for the driver: Scripts/*.jsonl. What must hold stands in the scripts; the whole answers beside them, *.answers.jsonl, hold
/// the format still, since programs outside read it. After a change that is meant: read the differences, then DRIVE_REWRITE_ANSWERS=1.
/// </summary>
public sealed class DriveScriptTests
{
    private static IReadOnlyList<string> Names => DriveScript.Names;

    [TestCaseSource(nameof(Names))]
    public void The_scenario_holds_and_its_answers_have_not_changed(string name)
    {
        var answers = DriveScript.Run(name);
        if (Environment.GetEnvironmentVariable("DRIVE_REWRITE_ANSWERS") == "1")
        {
            File.WriteAllText(Path.Combine(SourceFolder(), name + ".answers.jsonl"), answers);
        }
        else
        {
            Assert.That(answers, Is.EqualTo(File.ReadAllText(Path.Combine(DriveScript.Folder, name + ".answers.jsonl"))));
        }
    }

    [Test]
    public void Every_script_is_run() => Assert.That(
        Directory.GetFiles(SourceFolder(), "*.jsonl").Select(file => Path.GetFileName(file).Split('.')[0]).Distinct(),
        Is.EquivalentTo(DriveScript.Names));

    private static string SourceFolder([CallerFilePath] string file = "") => Path.Combine(Path.GetDirectoryName(file)!, "Scripts");
}
