using Dqlite.Crash.Ledgers;

namespace Dqlite.Crash.Tests.Ledgers;

/// <summary>What a ledger accepts and what it finds.</summary>
public sealed class LedgerTests
{
    [Test]
    public void Rows_that_were_acknowledged_are_there_and_unknown_ones_may_be()
    {
        var ledger = Of(("a", TagState.Acknowledged), ("u", TagState.Unknown), ("i", TagState.Intended), ("f", TagState.Failed));
        Assert.That(Compare(ledger, ["a"]), Is.Empty);
        Assert.That(Compare(ledger, ["a", "u", "i"]), Is.Empty);
    }

    [Test]
    public void A_lost_row_is_named() => Assert.That(Compare(Of(("a", TagState.Acknowledged), ("b", TagState.Acknowledged)), ["b"]), Is.EqualTo(new[] { "1 acknowledged rows are lost (a)" }));

    [Test]
    public void A_row_whose_insert_failed_must_not_be_there() =>
        Assert.That(Compare(Of(("f", TagState.Failed)), ["f"]), Is.EqualTo(new[] { "1 rows exist whose insert failed without effect (f)" }));

    [Test]
    public void A_row_that_nobody_wrote_must_not_be_there() => Assert.That(Compare(Of(), ["x"]), Is.EqualTo(new[] { "1 rows exist that nobody wrote (x)" }));

    [Test]
    public void A_row_that_stands_twice_is_found() =>
        Assert.That(Of(("a", TagState.Acknowledged)).Compare(new HashSet<string> { "a" }, duplicated: 1), Is.EqualTo(new[] { "1 rows stand more than once" }));

    [TestCase(TagState.Acknowledged)]
    [TestCase(TagState.Intended)]
    public void A_tag_gets_one_end_only(object second)
    {
        var ledger = Of(("a", TagState.Acknowledged));
        ledger.Record((TagState)second, "a");
        Assert.That(Compare(ledger, ["a"]), Is.EqualTo(new[] { $"tag a became {second} after Acknowledged" }));
    }

    [Test]
    public void An_end_without_an_intent_is_found()
    {
        var ledger = new Ledger();
        ledger.Record(TagState.Failed, "a");
        Assert.That(Compare(ledger, []), Is.EqualTo(new[] { "tag a became Failed after nothing" }));
    }

    [Test]
    public void Its_figures_count_what_has_no_end_as_unknown() =>
        Assert.That(Of(("a", TagState.Acknowledged), ("u", TagState.Unknown), ("i", TagState.Intended), ("f", TagState.Failed)).ToString(), Is.EqualTo("acknowledged 1, unknown 2, failed 1"));

    private static IReadOnlyList<string> Compare(Ledger ledger, IEnumerable<string> stored) => ledger.Compare(stored.ToHashSet(), duplicated: 0);

    private static Ledger Of(params (string Tag, TagState State)[] tags)
    {
        var ledger = new Ledger();
        foreach (var (tag, state) in tags)
        {
            ledger.Record(TagState.Intended, tag);
            if (state != TagState.Intended)
            {
                ledger.Record(state, tag);
            }
        }

        return ledger;
    }
}
