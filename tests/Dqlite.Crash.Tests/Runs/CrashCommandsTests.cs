using System.Net;
using Dqlite.Crash.Processes;
using Dqlite.Crash.Runs;
using Quickstart;

namespace Dqlite.Crash.Tests.Runs;

/// <summary>Options, figures and addresses.</summary>
public sealed class CrashCommandsTests
{
    [Test]
    public void Figures_are_the_median_and_the_maximum()
    {
        var durations = new Durations();
        Assert.That(durations.ToString(), Is.EqualTo("none"));
        foreach (var ms in new[] { 300, 100, 200 })
        {
            durations.Add(TimeSpan.FromMilliseconds(ms));
        }

        Assert.That(durations.ToString(), Is.EqualTo("median 200 ms, max 300 ms"));
    }

    [Test]
    public void Every_form_of_all_is_a_command_line_that_its_command_takes()
    {
        foreach (var name in new[] { "kill", "cluster", "pause", "syscalls", "errors", "power", "fulldisk" })
        {
            var command = CrashCommands.Find(name)!;
            foreach (var form in command.ShortForms.Concat(command.LongForms))
            {
                Assert.That(() => Arguments.Parse(form.Split(' '), [.. command.Options, "rounds"]), Throws.Nothing, $"{name} {form}");
            }

            Assert.That(CrashCommands.Usage, Does.Contain($"  {name} "));
        }
    }

    [Test]
    public void A_run_removes_its_directory_and_repeats_its_chance()
    {
        string data;
        long drawn;
        using (var run = new CrashRun(Arguments.Parse(["--seed", "7"], "seed"), CancellationToken.None))
        {
            (data, drawn) = (run.Data, run.Chance.Next(long.MaxValue));
            run.NewDirectory("nodes");
        }

        Assert.That(Directory.Exists(data), Is.False);
        using var again = new CrashRun(Arguments.Parse(["--seed", "7"], "seed"), CancellationToken.None);
        Assert.That(again.Chance.Next(long.MaxValue), Is.EqualTo(drawn));
    }

    [Test]
    public void Addresses_of_nodes_lie_on_a_loopback_address_that_no_connection_starts_from()
    {
        var addresses = Loopback.Reserve(3).Select(IPEndPoint.Parse).ToArray();
        Assert.That(addresses, Is.Unique);
        Assert.That(addresses.Select(address => address.Address).Distinct().Single(), Is.Not.EqualTo(IPAddress.Loopback));
        Assert.That(addresses.Select(address => IPAddress.IsLoopback(address.Address)), Is.All.True);
    }
}
