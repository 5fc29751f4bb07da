using System.Text;
using Dqlite.Simulation.Checking;
using Dqlite.Simulation.World;
using static Dqlite.Simulation.Tests.Checking.Script;

namespace Dqlite.Simulation.Tests.Checking;

/// <summary>Histories as JSON lines: golden text, the way there and back, and the command that judges a file.</summary>
internal sealed class HistoryFormatTests
{
    /// <summary>Every operation and outcome once. Client 1 gives up twice, so it goes on as process 4 (three clients) and then as 7.</summary>
    private static readonly string[] Golden =
    [
        """{"index":0,"process":0,"type":"invoke","f":"read","value":[5,null],"time":0,"level":"local"}""",
        """{"index":1,"process":0,"type":"ok","f":"read","value":[5,null],"time":10,"level":"local"}""",
        """{"index":2,"process":1,"type":"invoke","f":"write","value":[5,7],"time":20}""",
        """{"index":3,"process":1,"type":"info","f":"write","value":[5,7],"time":30}""",
        """{"index":4,"process":4,"type":"invoke","f":"cas","value":[5,[null,8]],"time":40,"client":1}""",
        """{"index":5,"process":4,"type":"fail","f":"cas","value":[5,[null,8]],"time":50,"client":1}""",
        """{"index":6,"process":4,"type":"invoke","f":"txn","value":[["append",1,3],["r",1,null]],"time":60,"client":1}""",
        """{"index":7,"process":4,"type":"info","f":"txn","value":[["append",1,3],["r",1,null]],"time":70,"client":1}""",
        """{"index":8,"process":7,"type":"invoke","f":"txn","value":[["append",1,4],["r",1,null]],"time":80,"client":1}""",
        """{"index":9,"process":7,"type":"ok","f":"txn","value":[["append",1,4],["r",1,[3,4]]],"time":90,"client":1}""",
        """{"index":10,"process":2,"type":"invoke","f":"transfer","value":{"from":0,"to":1,"amount":9,"overdraft":true},"time":100}""",
        """{"index":11,"process":2,"type":"ok","f":"transfer","value":{"from":0,"to":1,"amount":9,"overdraft":true},"time":110}""",
        """{"index":12,"process":2,"type":"invoke","f":"read-all","value":{"accounts":null},"time":120}""",
        """{"index":13,"process":2,"type":"ok","f":"read-all","value":{"accounts":[-4,14]},"time":130}""",
        """{"index":14,"process":2,"type":"invoke","f":"transfer","value":{"from":1,"to":0,"amount":2},"time":140}""",
    ];

    [Test]
    public void Every_operation_is_written_as_documented() => Assert.That(Write(Example()), Is.EqualTo(string.Join('\n', Golden) + "\n"));

    [Test]
    public void Every_operation_is_read_back()
    {
        var history = Read(string.Join('\n', Golden));
        Assert.That(Write(history), Is.EqualTo(string.Join('\n', Golden) + "\n"));
        Assert.That(Texts(history), Is.EqualTo(Texts(Example())));
    }

    [Test]
    public void Generated_histories_are_read_back_as_they_were()
    {
        for (ulong seed = 1; seed <= 50; seed++)
        {
            var history = GeneratedHistory.OfLists(new SeededRandom(seed), new Shape { WeakShare = 0.5, InfoShare = 0.2 }).Record();
            Assert.That(Texts(Read(Write(history))), Is.EqualTo(Texts(history)), $"seed {seed}");
        }
    }

    [Test]
    public void A_fault_is_found_in_the_file_as_in_memory()
    {
        var script = new Script()
            .Transaction(0, 0, 10, Append(1, 1))
            .Transaction(0, 20, 30, Outcome.Info, Append(1, 2))
            .Transaction(0, 40, 50, ReadLevel.Session, Saw(1));
        var result = ListAppendSerializability.Check(script.History);
        Assert.That(result.Anomaly, Is.EqualTo("G-single-session"));
        Assert.That(ListAppendSerializability.Check(Read(Write(script.History))).ToString(), Is.EqualTo(result.ToString()));
    }

    [Test]
    public void Events_of_other_processes_are_passed_over()
    {
        var history = Read("""{"index":0,"process":"nemesis","type":"info","f":"kill","value":null,"time":1}""" + "\n\n" + Golden[2]);
        Assert.That(history.Entries, Has.Count.EqualTo(1));
    }

    [TestCase("not json")]
    [TestCase("[]")]
    [TestCase("""{"process":0}""")]
    [TestCase("""{"process":0,"type":"invoke","f":"read","value":[],"time":0}""")]
    [TestCase("""{"process":0,"type":"invoke","f":"read","value":["x",null],"time":0}""")]
    [TestCase("""{"process":0,"type":"invoke","f":"dance","value":[1,2],"time":0}""")]
    [TestCase("""{"process":-1,"type":"invoke","f":"read","value":[1,null],"time":0}""")]
    [TestCase("""{"process":99999999,"type":"invoke","f":"read","value":[1,null],"time":0}""")]
    [TestCase("""{"process":0,"type":"ok","f":"read","value":[1,null],"time":0}""")]
    [TestCase("""{"process":0,"type":"invoke","f":"txn","value":[["w",1,2]],"time":0}""")]
    [TestCase("""{"process":0,"type":"invoke","f":"read","value":[1,null],"time":0,"level":"psychic"}""")]
    [TestCase("""{"process":0,"type":"invoke","f":"transfer","value":{"from":0,"to":1,"amount":-9},"time":0}""")]
    public void A_line_that_is_no_event_is_named(string line) =>
        Assert.That(() => Read(Golden[2] + "\n" + line), Throws.TypeOf<FormatException>().With.Message.StartsWith("Line 2 is not an event"));

    [Test]
    public void The_command_accepts_a_valid_history()
    {
        var (code, output) = Run(new Script().Write(0, 0, 10, 1, 7).Read(1, 20, 30, 1, 7).Transaction(0, 40, 50, Append(1, 1)));
        Assert.That(code, Is.Zero);
        Assert.That(output, Does.EndWith("valid\n").And.Contain("register linearizability: valid").And.Contain("list-append serializability: valid"));
    }

    [Test]
    public void The_command_rejects_an_invalid_history()
    {
        var (code, output) = Run(new Script().Write(0, 0, 10, 1, 7).Read(1, 20, 30, 1, null));
        Assert.That(code, Is.EqualTo(1));
        Assert.That(output, Does.EndWith("\ninvalid\n").And.Contain("(stale-read): key 1: nothing was found, which had been replaced by 7 before"));
    }

    [Test]
    public void The_command_compares_a_bank_with_its_first_balances()
    {
        var script = new Script().Transfer(0, 0, 0, 1, 4).ReadAll(1, 20, 10, 10);
        Assert.That(Run(script).Code, Is.Zero);
        Assert.That(Run(script, "--balances", "10,10").Code, Is.EqualTo(1));
        Assert.That(Run(script, "--balances", "10,x").Code, Is.EqualTo(2));
    }

    [Test]
    public void The_command_does_not_call_an_empty_history_valid()
    {
        var (code, output) = Run(new Script());
        Assert.That(code, Is.EqualTo(3));
        Assert.That(output, Does.EndWith("\nunknown\n"));
    }

    [Test]
    public void The_command_says_what_it_cannot_read()
    {
        using var errors = new StringWriter();
        Assert.That(CheckHistoryCommand.Run([], TextWriter.Null, errors), Is.EqualTo(2));
        Assert.That(CheckHistoryCommand.Run(["/nowhere/at-all"], TextWriter.Null, errors), Is.EqualTo(2));
        Assert.That(errors.ToString(), Does.Contain("Usage").And.Contain("/nowhere/at-all"));
    }

    private static History Example() => new Script()
        .Read(0, 0, 10, 5, null, ReadLevel.Local)
        .Write(1, 20, 30, 5, 7, Outcome.Info)
        .Cas(1, 40, 50, 5, null, 8, Outcome.Fail)
        .Transaction(1, 60, 70, Outcome.Info, Append(1, 3), Saw(1))
        .Transaction(1, 80, 90, Append(1, 4), Saw(1, 3, 4))
        .Transfer(2, 100, 0, 1, 9, allowsOverdraft: true)
        .ReadAll(2, 120, -4, 14)
        .Add(2, 140, 150, Operation.Transfer(1, 0, 2), Outcome.Open)
        .History;

    private static string Write(History history)
    {
        using var stream = new MemoryStream();
        HistoryWriter.Write(history, stream);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static History Read(string text) => HistoryReader.Read(new StringReader(text));

    private static string[] Texts(History history) => history.Entries.Select(HistoryText.Describe).ToArray();

    private static (int Code, string Output) Run(Script script, params string[] more)
    {
        var path = Path.Combine(TestContext.CurrentContext.WorkDirectory, $"{TestContext.CurrentContext.Test.ID}.history");
        File.WriteAllText(path, Write(script.History));
        try
        {
            using var output = new StringWriter { NewLine = "\n" };
            return (CheckHistoryCommand.Run([path, .. more], output, TextWriter.Null), output.ToString());
        }
        finally
        {
            File.Delete(path);
        }
    }
}
