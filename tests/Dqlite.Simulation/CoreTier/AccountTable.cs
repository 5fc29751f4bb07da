namespace Dqlite.Simulation.CoreTier;

/// <summary>Accounts: a page each, so that half a transfer shows. 16 balance.</summary>
internal sealed class AccountTable(TransactionPages pages) : Table(pages, TableId.Accounts)
{
    private const int BalanceOffset = 16;

    /// <inheritdoc/>
    protected override PageKind Kind => PageKind.Account;

    /// <summary>All balances.</summary>
    public long[] ReadAll()
    {
        var root = Root;
        var balances = new long[root.Count];
        for (var key = 0; key < balances.Length; key++)
        {
            balances[key] = PageLayout.Int64(Pages.Read(root.FirstPage + (uint)key, Kind, key), BalanceOffset);
        }

        return balances;
    }

    /// <summary>Moves money, if there is enough.</summary>
    public bool Transfer(int from, int to, long amount)
    {
        var (source, target) = (PageOf(from), PageOf(to));
        if (PageLayout.Int64(Pages.Read(source, Kind, from), BalanceOffset) < amount)
        {
            return false;
        }

        Add(source, -amount);
        Add(target, amount);
        return true;
    }

    /// <inheritdoc/>
    protected override int PagesFor(int count) => count;

    /// <inheritdoc/>
    protected override void Format(Span<byte> page, long extra) => PageLayout.SetInt64(page, BalanceOffset, extra);

    /// <inheritdoc/>
    protected override void Check(PageAudit audit, TableRoot root)
    {
        var total = 0L;
        for (var key = 0; key < root.Count; key++)
        {
            var balance = PageLayout.Int64(audit.Take(PageOf(key), Kind, key), BalanceOffset);
            TransactionPages.Require(balance >= 0, $"account {key} has {balance}");
            total += balance;
        }

        TransactionPages.Require(total == root.Count * root.Extra, $"the accounts hold {total} together, not {root.Count * root.Extra}");
    }

    private void Add(uint page, long amount)
    {
        var image = Pages.Write(page);
        PageLayout.SetInt64(image, BalanceOffset, PageLayout.Int64(image, BalanceOffset) + amount);
    }
}
