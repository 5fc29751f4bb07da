using System.Runtime.InteropServices;

namespace Dqlite.Simulation.Checking;

/// <summary>
/// The order in which values were appended to each key: that of the longest read, of which every other read has to be a prefix (Kingsbury and
/// Alvaro, "Elle", 2020, section 4). What can be judged without looking at more than one key is judged here.
/// </summary>
internal sealed class VersionOrders
{
    private const int None = TransactionSet.None;

    private readonly TransactionSet _set;
    private readonly int[] _longest;
    private readonly int[] _offsets;
    private readonly int[] _places;
    private readonly List<int> _versions = [];

    private VersionOrders(TransactionSet set)
    {
        _set = set;
        _longest = new int[set.Keys];
        Array.Fill(_longest, None);
        _offsets = new int[set.Keys + 1];
        _places = new int[set.Appends];
        Array.Fill(_places, None);
        TookPart = new bool[set.Entries.Length];
    }

    /// <summary>By transaction: it was acknowledged, or someone read one of its appends.</summary>
    public bool[] TookPart { get; }

    /// <summary>What is wrong already.</summary>
    public ListFault? Fault { get; private set; }

    /// <summary>The appends to a key that were read, in their order.</summary>
    public ReadOnlySpan<int> Of(int key) => CollectionsMarshal.AsSpan(_versions)[_offsets[key].._offsets[key + 1]];

    /// <summary>The place of an append in the order of its key; <see cref="TransactionSet.None"/> when nobody read it.</summary>
    public int Place(int append) => _places[append];

    /// <summary>Infers the orders.</summary>
    public static VersionOrders Infer(TransactionSet set, List<ListRead> reads, Timeline timeline)
    {
        var orders = new VersionOrders(set);
        orders.Fault = orders.FindLongest(reads) ?? orders.AddVersions(reads) ?? orders.FindPartial() ?? orders.FindIntermediate(reads) ??
            orders.FindLost(reads, timeline);
        return orders;
    }

    private ListFault? FindLongest(List<ListRead> reads)
    {
        for (var i = 0; i < reads.Count; i++)
        {
            var longest = _longest[reads[i].Key];
            if (longest == None || reads[i].List.Length > reads[longest].List.Length)
            {
                _longest[reads[i].Key] = i;
            }
        }

        foreach (var read in reads)
        {
            var longest = reads[_longest[read.Key]];
            if (!longest.List.AsSpan(0, read.List.Length).SequenceEqual(read.List))
            {
                return new ListFault("incompatible-order", Disagreement(read, longest), read.Transaction, longest.Transaction);
            }
        }

        return null;
    }

    private string Disagreement(ListRead read, ListRead longest)
    {
        var same = read.List.AsSpan().CommonPrefixLength(longest.List);
        return $"two reads of key {_set.Key(read.Key)} agree on {same} values only: then one has {read.List[same]}, the other {longest.List[same]}";
    }

    private ListFault? AddVersions(List<ListRead> reads)
    {
        for (var transaction = 0; transaction < TookPart.Length; transaction++)
        {
            TookPart[transaction] = _set.Entries[transaction].Outcome == Outcome.Ok;
        }

        for (var key = 0; key < _longest.Length; key++)
        {
            if (_longest[key] != None && AddVersions(reads[_longest[key]]) is { } fault)
            {
                return fault;
            }

            _offsets[key + 1] = _versions.Count;
        }

        return null;
    }

    private ListFault? AddVersions(ListRead longest)
    {
        var key = _set.Key(longest.Key);
        foreach (var value in longest.List)
        {
            var append = _set.Find(longest.Key, value);
            if (append == None)
            {
                return new ListFault("never-appended", $"key {key} holds {value}, which nobody appended", longest.Transaction);
            }

            var writer = _set.TransactionOf(append);
            if (_set.Entries[writer].Outcome == Outcome.Fail)
            {
                return new ListFault("G1a", $"key {key} holds {value}, whose transaction failed (aborted read)", longest.Transaction, writer);
            }

            if (_places[append] != None)
            {
                return new ListFault("duplicate-append", $"key {key} holds {value} twice: it took effect twice", longest.Transaction, writer);
            }

            AddVersion(append, longest.Key);
        }

        AddRestOfTransaction(longest.Key);
        return null;
    }

    /// <summary>The last transaction that was read may have appended more after that read, if it was its own; nothing can lie between.</summary>
    private void AddRestOfTransaction(int key)
    {
        if (_versions.Count == _offsets[key])
        {
            return;
        }

        var last = _versions[^1];
        for (var append = last + 1; append < _set.Appends && _set.TransactionOf(append) == _set.TransactionOf(last); append++)
        {
            if (_set.KeyOf(append) == key && _places[append] == None)
            {
                AddVersion(append, key);
            }
        }
    }

    private void AddVersion(int append, int key)
    {
        _places[append] = _versions.Count - _offsets[key];
        _versions.Add(append);
        TookPart[_set.TransactionOf(append)] = true;
    }

    /// <summary>Appends of one transaction to one key lie next to each other, in their order, all of them or none.</summary>
    private ListFault? FindPartial()
    {
        for (var append = 0; append < _set.Appends; append++)
        {
            var before = PreviousOfSameTransaction(append);
            if (before == None || (_places[append] == None && _places[before] == None))
            {
                continue;
            }

            var text = $"of one transaction's appends to key {_set.Key(_set.KeyOf(append))}, {_set.ValueOf(before)} and {_set.ValueOf(append)},";
            if (_places[append] == None || _places[before] == None)
            {
                return new ListFault("partial-transaction", $"{text} only one took effect", _set.TransactionOf(append));
            }

            if (_places[append] < _places[before])
            {
                return new ListFault("reordered-appends", $"{text} the later one took effect first", _set.TransactionOf(append));
            }
        }

        return null;
    }

    /// <summary>The append that the same transaction made to the same key before. Appends are numbered by transaction and step.</summary>
    private int PreviousOfSameTransaction(int append)
    {
        for (var i = append - 1; i >= 0 && _set.TransactionOf(i) == _set.TransactionOf(append); i--)
        {
            if (_set.KeyOf(i) == _set.KeyOf(append))
            {
                return i;
            }
        }

        return None;
    }

    private ListFault? FindIntermediate(List<ListRead> reads)
    {
        foreach (var read in reads)
        {
            var versions = Of(read.Key);
            if (!read.IsFirst || read.Base == 0)
            {
                continue;
            }

            var last = versions[read.Base - 1];
            var writer = _set.TransactionOf(last);
            if (writer == read.Transaction)
            {
                var text = $"a transaction read its own append of {_set.ValueOf(last)} to key {_set.Key(read.Key)} before it made it";
                return new ListFault("internal", text, writer);
            }

            if (read.Base < versions.Length && _set.TransactionOf(versions[read.Base]) == writer)
            {
                var text = $"key {_set.Key(read.Key)} was read up to {_set.ValueOf(last)}, in the middle of a transaction (intermediate read)";
                return new ListFault("G1b", text, read.Transaction, writer);
            }
        }

        return null;
    }

    /// <summary>An acknowledged append that a linearizable read, invoked after the acknowledgement, did not see.</summary>
    private ListFault? FindLost(List<ListRead> reads, Timeline timeline)
    {
        var latest = new int[_set.Keys];
        Array.Fill(latest, None);
        foreach (var read in reads)
        {
            var known = latest[read.Key];
            if (!_set.Entries[read.Transaction].IsWeakRead && (known == None || Invoked(read.Transaction) > Invoked(known)))
            {
                latest[read.Key] = read.Transaction;
            }
        }

        for (var append = 0; append < _set.Appends; append++)
        {
            var reader = latest[_set.KeyOf(append)];
            var writer = _set.TransactionOf(append);
            if (_places[append] == None && reader != None && timeline.Completed[_set.Entries[writer].Id] < Invoked(reader))
            {
                var text = $"{_set.ValueOf(append)} was appended to key {_set.Key(_set.KeyOf(append))} and acknowledged, but a later read lacks it";
                return new ListFault("lost-append", text, writer, reader);
            }
        }

        return null;

        int Invoked(int transaction) => timeline.Invoked[_set.Entries[transaction].Id];
    }
}
