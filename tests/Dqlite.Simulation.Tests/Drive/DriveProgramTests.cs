using System.Runtime.CompilerServices;
using System.Text;
using Dqlite.Raft;
using Dqlite.Simulation.Drive;

namespace Dqlite.Simulation.Tests.Drive;

/// <summary>The driver as programs outside see it.</summary>
public sealed class DriveProgramTests
{
    [Test]
    public void Every_command_gets_one_line_and_blank_lines_and_comments_get_none()
    {
        const string Input = """
            # a comment

              # another one
            {"cmd":"version"}
            not JSON
              {"cmd":"add","ids":1,"voters":1}
            """;
        var output = new StringWriter { NewLine = "\n" };
        DriveProgram.Run(new StringReader(Input), output, trace: null);
        Assert.That(output.ToString().Split('\n'), Has.Length.EqualTo(4).And.Some.Contains("\"ok\":false").And.Exactly(2).Contains("\"ok\":true"));
    }

    [Test]
    public void A_trace_has_a_line_for_each_event_as_soon_as_the_answer_is_out()
    {
        using var trace = new MemoryStream();
        var session = new DriveSession(new DriveCluster(trace));
        session.Execute("""{"cmd":"add","ids":[1],"voters":[1]}""");
        Assert.That(Encoding.UTF8.GetString(trace.ToArray()), Is.EqualTo(
            """{"tag":"trace","seq":1,"time":10000000,"event":{"name":"InitState","nid":"1","state":{"term":0,"vote":"0","commit":0},"role":"StateFollower","log":0,"conf":[["1"],[]]}}""" + "\n"));
    }

    [Test]
    public void What_production_code_refuses_is_an_error_of_the_command()
    {
        var session = new DriveSession(new DriveCluster(trace: null));
        session.Execute("""{"cmd":"add","ids":[1],"voters":[1]}""");
        var tooMany = string.Join(",", Enumerable.Range(2, ConfigurationCodec.MaxMembers));
        Assert.That(
            session.Execute($$"""{"cmd":"add","ids":[2],"log":[{"term":1,"voters":[1,{{tooMany}}]}]}"""),
            Does.StartWith("""{"ok":false,"error":"1025 members; at most 1024 can be encoded."""));
        Assert.That(session.Execute("""{"cmd":"version"}"""), Does.StartWith("""{"ok":true"""));
    }

    [TestCase("--trace")]
    [TestCase("--trace", "file", "more")]
    [TestCase("--mutant", "R1")]
    public void Unknown_arguments_end_it_with_exit_code_2(params string[] arguments) => Assert.That(DriveProgram.Run(arguments), Is.EqualTo(2));

    [Test]
    public void All_commands_refusals_and_message_types_are_in_the_documentation()
    {
        var page = File.ReadAllText(Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", "..", "..", "docs", "formats", "drive.md"));
        var refusals = Enum.GetValues<RefusalReason>().Where(reason => reason != RefusalReason.None).Select(DriveJson.Name);
        Assert.That(
            DriveCommands.All.Keys.Concat(DriveMessage.Types).Concat(refusals).Where(name => !page.Contains($"`{name}`", StringComparison.Ordinal)),
            Is.Empty);
    }

    private static string ThisFile([CallerFilePath] string file = "") => file;
}
