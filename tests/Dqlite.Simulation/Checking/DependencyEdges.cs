namespace Dqlite.Simulation.Checking;

/// <summary>
/// What orders the transactions: who appended behind whom (ww), who read whose append (wr), whose append made old what was read (rw), sessions,
/// and real time. The number of edges is linear in the number of steps.
/// </summary>
internal sealed class DependencyEdges
{
    private const int None = TransactionSet.None;

    private readonly TransactionSet _set;
    private readonly VersionOrders _orders;
    private readonly List<ListRead> _reads;
    private readonly DependencyGraph _graph;

    /// <summary>By key: the transactions that took part and whose append nobody read, as a list through <see cref="_unread"/>.</summary>
    private readonly int[] _firstUnread;
    private readonly List<(int Transaction, int Next)> _unread = [];

    private DependencyEdges(TransactionSet set, VersionOrders orders, List<ListRead> reads)
    {
        _set = set;
        _orders = orders;
        _reads = reads;
        _graph = new DependencyGraph(set.Entries.Length);
        _firstUnread = new int[set.Keys];
        Array.Fill(_firstUnread, None);
    }

    /// <summary>The graph of a history.</summary>
    public static DependencyGraph Build(TransactionSet set, VersionOrders orders, List<ListRead> reads, Timeline timeline)
    {
        var edges = new DependencyEdges(set, orders, reads);
        edges.FindUnread();
        edges.AddWriteWrite();
        edges.AddReads();
        edges.AddUnread();
        edges.AddSessions();
        edges.AddRealTime(timeline);
        edges._graph.Freeze();
        return edges._graph;
    }

    private void FindUnread()
    {
        for (var append = 0; append < _set.Appends; append++)
        {
            var transaction = _set.TransactionOf(append);
            var first = _firstUnread[_set.KeyOf(append)];
            var isKnown = first != None && _unread[first].Transaction == transaction;
            if (_orders.Place(append) == None && _orders.TookPart[transaction] && !isKnown)
            {
                _firstUnread[_set.KeyOf(append)] = _unread.Count;
                _unread.Add((transaction, first));
            }
        }
    }

    private void AddWriteWrite()
    {
        for (var key = 0; key < _set.Keys; key++)
        {
            var versions = _orders.Of(key);
            for (var i = 1; i < versions.Length; i++)
            {
                AddBetween(_set.TransactionOf(versions[i - 1]), _set.TransactionOf(versions[i]), Dependency.WriteWrite, key);
            }
        }
    }

    private void AddReads()
    {
        foreach (var read in _reads)
        {
            if (!read.IsFirst)
            {
                continue;
            }

            var versions = _orders.Of(read.Key);
            if (read.Base > 0)
            {
                AddBetween(_set.TransactionOf(versions[read.Base - 1]), read.Transaction, Dependency.WriteRead, read.Key);
            }

            if (read.Base < versions.Length)
            {
                AddBetween(read.Transaction, _set.TransactionOf(versions[read.Base]), Dependency.ReadWrite, read.Key);
            }
        }
    }

    /// <summary>
    /// Appends that nobody read come behind the last one that was, and behind everyone who read no further: those edges meet in one helper node for
    /// each key. A reader that made such an append itself goes around it, since its way must not lead back to it; two of those on one key overwrote
    /// each other, so two are enough to close the cycle.
    /// </summary>
    private void AddUnread()
    {
        var helpers = new int[_set.Keys];
        var direct = new int[_set.Keys];
        for (var key = 0; key < _set.Keys; key++)
        {
            if (_firstUnread[key] != None)
            {
                helpers[key] = _graph.AddHelper();
                AddHelperEdges(key, helpers[key]);
            }
        }

        foreach (var read in _reads)
        {
            var isAtEnd = read.IsFirst && read.Base == _orders.Of(read.Key).Length && _firstUnread[read.Key] != None;
            if (isAtEnd && !Appends(read.Transaction, read.Key))
            {
                _graph.Add(read.Transaction, helpers[read.Key], Dependency.ReadWrite, read.Key);
            }
            else if (isAtEnd && direct[read.Key]++ < 2)
            {
                AddDirect(read.Transaction, read.Key);
            }
        }
    }

    private void AddHelperEdges(int key, int helper)
    {
        var versions = _orders.Of(key);
        if (versions.Length > 0)
        {
            _graph.Add(_set.TransactionOf(versions[^1]), helper, Dependency.WriteWrite, key);
        }

        for (var i = _firstUnread[key]; i != None; i = _unread[i].Next)
        {
            _graph.Add(helper, _unread[i].Transaction, Dependency.Through, key);
        }
    }

    private void AddDirect(int reader, int key)
    {
        for (var i = _firstUnread[key]; i != None; i = _unread[i].Next)
        {
            AddBetween(reader, _unread[i].Transaction, Dependency.ReadWrite, key);
        }
    }

    private bool Appends(int transaction, int key)
    {
        var keys = _set.StepKeys(transaction);
        for (var i = 0; i < keys.Length; i++)
        {
            if (keys[i] == key && _set.Entries[transaction].Operation.Steps[i].Appended is not null)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>A read of level Session follows what its client did before, but for its local reads.</summary>
    private void AddSessions()
    {
        var last = new List<int>();
        for (var transaction = 0; transaction < _set.Entries.Length; transaction++)
        {
            var entry = _set.Entries[transaction];
            var isLocal = entry.IsWeakRead && entry.Operation.Level == ReadLevel.Local;
            if (entry.Outcome != Outcome.Ok || isLocal)
            {
                continue;
            }

            while (last.Count <= entry.Process)
            {
                last.Add(None);
            }

            if (entry.IsWeakRead && last[entry.Process] != None)
            {
                _graph.Add(last[entry.Process], transaction, Dependency.Session);
            }

            last[entry.Process] = transaction;
        }
    }

    /// <summary>
    /// Real time as a chain of helper nodes, one for each run of completions without an invocation between them: who completes leads into the
    /// chain, who is invoked is reached from it. A weak read is not reached, since it may be old; but what it saw was committed, so it leads into
    /// the chain like all others.
    /// </summary>
    private void AddRealTime(Timeline timeline)
    {
        var transactionOf = new int[timeline.Invoked.Length];
        Array.Fill(transactionOf, None);
        for (var transaction = 0; transaction < _set.Entries.Length; transaction++)
        {
            transactionOf[_set.Entries[transaction].Id] = _orders.TookPart[transaction] ? transaction : None;
        }

        var helper = None;
        var isOpen = false;
        foreach (var at in timeline.Events)
        {
            var transaction = transactionOf[at >> 1];
            if (transaction == None)
            {
                continue;
            }

            var entry = _set.Entries[transaction];
            if ((at & 1) == 0)
            {
                if (helper != None && !entry.IsWeakRead)
                {
                    _graph.Add(helper, transaction, Dependency.Through);
                    isOpen = false;
                }
            }
            else if (entry.Outcome == Outcome.Ok)
            {
                helper = isOpen ? helper : NextHelper(helper);
                isOpen = true;
                _graph.Add(transaction, helper, Dependency.RealTime);
            }
        }
    }

    private int NextHelper(int previous)
    {
        var next = _graph.AddHelper();
        if (previous != None)
        {
            _graph.Add(previous, next, Dependency.Through);
        }

        return next;
    }

    private void AddBetween(int from, int to, Dependency kind, int key)
    {
        if (from != to)
        {
            _graph.Add(from, to, kind, key);
        }
    }
}
