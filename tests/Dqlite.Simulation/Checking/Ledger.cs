namespace Dqlite.Simulation.Checking;

/// <summary>The tags that one database holds, in the order in which they were inserted (by rowid).</summary>
internal sealed record LedgerState(string Database, IReadOnlyList<long> Tags);

/// <summary>One insert and what became of it. Filled by <see cref="Ledger"/> alone.</summary>
internal sealed class LedgerEntry(int id, int client, string database, long tag, long invokedNs, int invokedOrder)
{
    /// <summary>Its number in the ledger.</summary>
    public int Id { get; } = id;

    /// <summary>Who inserted it, from 0.</summary>
    public int Client { get; } = client;

    /// <summary>Where.</summary>
    public string Database { get; } = database;

    /// <summary>What.</summary>
    public long Tag { get; } = tag;

    /// <summary>When it was begun.</summary>
    public long InvokedNs { get; } = invokedNs;

    /// <summary>The number of its beginning among all events of the ledger.</summary>
    public int InvokedOrder { get; } = invokedOrder;

    /// <summary>How it ended.</summary>
    public Outcome Outcome { get; private set; }

    /// <summary>When the client learned of it.</summary>
    public long CompletedNs { get; private set; }

    /// <summary>The number of its completion among all events.</summary>
    public int CompletedOrder { get; private set; }

    internal void Complete(Outcome outcome, long completedNs, int completedOrder)
    {
        if (Outcome != Outcome.Open)
        {
            throw new InvalidOperationException($"Insert {Id} of tag {Tag} has ended already, as {Outcome}.");
        }

        Outcome = outcome;
        CompletedNs = completedNs;
        CompletedOrder = completedOrder;
    }

    public override string ToString()
    {
        var end = Outcome switch
        {
            Outcome.Ok => $"acknowledged {HistoryText.Time(CompletedNs)}",
            Outcome.Fail => $"failed {HistoryText.Time(CompletedNs)}",
            Outcome.Info => $"unknown since {HistoryText.Time(CompletedNs)}",
            Outcome.Open => "never answered",
        };
        return $"tag {Tag} of client {Client} in '{Database}', begun {HistoryText.Time(InvokedNs)}, {end}";
    }
}

/// <summary>Inserts of unique tags: what clients asked for and what they were told. Not thread-safe.</summary>
internal sealed class Ledger(Func<long> nowNs)
{
    private readonly List<LedgerEntry> _entries = [];
    private readonly Dictionary<long, LedgerEntry> _byTag = [];
    private int _events;

    /// <summary>The inserts, by number.</summary>
    public IReadOnlyList<LedgerEntry> Entries => _entries;

    /// <summary>A client inserts a tag that no one else inserts. The number that is returned names the insert.</summary>
    public int Begin(int client, string database, long tag)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(client);
        var entry = new LedgerEntry(_entries.Count, client, database, tag, nowNs(), _events++);
        if (!_byTag.TryAdd(tag, entry))
        {
            throw new ArgumentException($"Tag {tag} is inserted already.", nameof(tag));
        }

        _entries.Add(entry);
        return entry.Id;
    }

    /// <summary>It took effect.</summary>
    public void Ok(int id) => _entries[id].Complete(Outcome.Ok, nowNs(), _events++);

    /// <summary>It never took effect and never will.</summary>
    public void Fail(int id) => _entries[id].Complete(Outcome.Fail, nowNs(), _events++);

    /// <summary>Nobody knows whether it takes effect.</summary>
    public void Info(int id) => _entries[id].Complete(Outcome.Info, nowNs(), _events++);

    /// <summary>The insert of a tag; null when nobody began one.</summary>
    public LedgerEntry? Find(long tag) => _byTag.GetValueOrDefault(tag);
}
