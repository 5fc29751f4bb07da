using Dqlite.Simulation.Checking;

namespace Dqlite.Simulation.Tests.Checking;

/// <summary>Banks of two and three accounts by hand.</summary>
public sealed class BankCheckerTests
{
    private static readonly BankOptions Tens = new([10, 10, 10]);

    [Test]
    public void Reads_between_transfers_are_valid() => Accept(
        new Script().ReadAll(0, 0, 10, 10, 10).Transfer(0, 20, 0, 1, 4).ReadAll(1, 40, 6, 14, 10).Transfer(1, 60, 1, 2, 14).ReadAll(0, 80, 6, 0, 24),
        Tens with { Final = [6, 0, 24] });

    [Test]
    public void A_read_with_a_wrong_total_is_found()
    {
        Reject("wrong-total", new Script().Transfer(0, 0, 0, 1, 4).ReadAll(1, 20, 6, 10, 10), Tens);
        Reject("wrong-total", new Script().ReadAll(0, 0, 10, 10).Transfer(0, 20, 0, 1, 4).ReadAll(1, 40, 10, 14), null);
        Reject("wrong-total", new Script(), Tens with { Final = [10, 10, 11] });
    }

    [Test]
    public void A_negative_balance_is_found_unless_a_transfer_may_overdraw()
    {
        Reject("negative-balance", new Script().Transfer(0, 0, 0, 1, 14).ReadAll(1, 20, -4, 24, 10), Tens);
        Accept(new Script().Transfer(0, 0, 0, 1, 14, allowsOverdraft: true).ReadAll(1, 20, -4, 24, 10), Tens);
        Reject("negative-balance", new Script().Transfer(0, 0, 0, 1, 14, Outcome.Fail, allowsOverdraft: true).ReadAll(1, 20, -4, 24, 10), Tens);
    }

    [Test]
    public void A_lost_transfer_is_found() =>
        Reject("unexplained-balances", new Script().Transfer(0, 0, 0, 1, 4).Transfer(0, 20, 1, 2, 3), Tens with { Final = [6, 14, 10] });

    [Test]
    public void A_transfer_that_took_effect_twice_is_found() =>
        Reject("unexplained-balances", new Script().Transfer(0, 0, 0, 1, 4), Tens with { Final = [2, 18, 10] });

    [Test]
    public void A_failed_transfer_that_took_effect_is_found() =>
        Reject("unexplained-balances", new Script().Transfer(0, 0, 0, 1, 4, Outcome.Fail), Tens with { Final = [6, 14, 10] });

    [Test]
    public void A_stale_read_is_found()
    {
        var result = Reject("unexplained-balances", new Script().Transfer(0, 0, 0, 1, 4).ReadAll(1, 20, 10, 10, 10), Tens);
        Assert.That(result.ToString(), Does.Contain("acknowledged before it: [6 14 10]"));
    }

    [Test]
    public void A_concurrent_transfer_may_be_seen_or_not()
    {
        Accept(new Script().Transfer(0, 0, 0, 1, 4).ReadAll(1, 5, 10, 10, 10), Tens);
        Accept(new Script().Transfer(0, 0, 0, 1, 4).ReadAll(1, 5, 6, 14, 10), Tens);
        Accept(new Script().Transfer(0, 8, 0, 1, 4).ReadAll(1, 5, 6, 14, 10), Tens);
        Reject("unexplained-balances", new Script().Transfer(0, 0, 0, 1, 4).ReadAll(1, 5, 8, 12, 10), Tens);
    }

    [Test]
    public void A_local_read_may_be_old()
    {
        var script = new Script().Transfer(0, 0, 0, 1, 4);
        var id = script.History.Begin(1, Operation.ReadAll(ReadLevel.Local));
        script.History.OkReadAll(id, [10, 10, 10]);
        Accept(script, Tens);
    }

    [Test]
    public void An_uncertain_transfer_may_take_effect_late_or_never()
    {
        var script = new Script().Transfer(0, 0, 0, 1, 4, Outcome.Info).ReadAll(1, 20, 10, 10, 10);
        Accept(script, Tens with { Final = [10, 10, 10] });
        Accept(script, Tens with { Final = [6, 14, 10] });
        Reject("unexplained-balances", script, Tens with { Final = [2, 18, 10] });
        Accept(script.ReadAll(1, 40, 6, 14, 10), Tens with { Final = [6, 14, 10] });
    }

    [Test]
    public void Which_of_many_uncertain_transfers_took_effect_is_found_out()
    {
        var script = new Script();
        long[] final = [1000, 1000, 1000, 1000, 1000, 1000];
        for (var i = 0; i < 60; i++)
        {
            var (from, to, amount) = (i % 6, (i + 1 + (i / 6 % 5)) % 6, 1 + (i * 37 % 50));
            script.Transfer(i, i * 20, from, to, amount, Outcome.Info);
            if (i % 3 == 0)
            {
                final[from] -= amount;
                final[to] += amount;
            }
        }

        Accept(script, new BankOptions([1000, 1000, 1000, 1000, 1000, 1000], final));
    }

    [Test]
    public void A_search_that_gives_up_says_unknown()
    {
        var script = new Script();
        for (var i = 0; i < 40; i++)
        {
            script.Transfer(i, i * 20, i % 2, (i + 1) % 2, 2, Outcome.Info);
        }

        var result = BankChecker.Check(script.History, new BankOptions([100, 100], [99, 101], MaxSteps: 1000));
        Assert.That(result.Verdict, Is.EqualTo(Verdict.Unknown));
    }

    [Test]
    public void A_transfer_to_an_account_that_does_not_exist_is_found() => Reject("no-account", new Script().Transfer(0, 0, 0, 3, 4), Tens);

    private static void Accept(Script script, BankOptions? options) =>
        Assert.That(BankChecker.Check(script.History, options).ToString(), Does.Contain(": valid"));

    private static CheckResult Reject(string anomaly, Script script, BankOptions? options)
    {
        var result = BankChecker.Check(script.History, options);
        Assert.That(result.Anomaly, Is.EqualTo(anomaly), result.ToString());
        Assert.That(result.Verdict, Is.EqualTo(Verdict.Invalid));
        return result;
    }
}
