namespace Dqlite.Simulation.Checking;

/// <summary>
/// The events of a history as one sequence, by time and then by number. Checkers compare places in it instead of times: one operation precedes
/// another in real time when it completed at a lower place than the other was invoked at.
/// </summary>
internal sealed class Timeline
{
    /// <summary>The place of a completion that never came, or that says nothing: behind everything.</summary>
    public const int Never = int.MaxValue;

    public Timeline(History history)
    {
        Events = Sequence(history);
        var entries = history.Entries;
        Invoked = new int[entries.Count];
        Completed = new int[entries.Count];
        Array.Fill(Completed, Never);
        for (var place = 0; place < Events.Length; place++)
        {
            var id = Events[place] >> 1;
            if ((Events[place] & 1) == 0)
            {
                Invoked[id] = place;
            }
            else if (entries[id].Outcome == Outcome.Ok)
            {
                Completed[id] = place;
            }
        }
    }

    /// <summary>By place: twice the operation's id, plus one for its completion.</summary>
    public int[] Events { get; }

    /// <summary>By id: where the operation was invoked.</summary>
    public int[] Invoked { get; }

    /// <summary>By id: where an acknowledged operation completed; <see cref="Never"/> for all others.</summary>
    public int[] Completed { get; }

    private static int[] Sequence(History history)
    {
        var byNumber = new int[history.Events];
        var times = new (long Ns, int Number)[history.Events];
        foreach (var entry in history.Entries)
        {
            byNumber[entry.InvokedOrder] = entry.Id << 1;
            times[entry.InvokedOrder] = (entry.InvokedNs, entry.InvokedOrder);
            if (entry.Outcome != Outcome.Open)
            {
                byNumber[entry.CompletedOrder] = (entry.Id << 1) | 1;
                times[entry.CompletedOrder] = (entry.CompletedNs, entry.CompletedOrder);
            }
        }

        if (!history.IsOrdered)
        {
            Array.Sort(times, byNumber);
        }

        return byNumber;
    }
}
