using System.Runtime.InteropServices;
using Dqlite.Net;
using Dqlite.Net.Engine;
using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Simulation.FullTier;
using Dqlite.Simulation.Workload;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Tests.FullTier;

/// <summary>One database on one machine, without a cluster: the test says when it leads, what is proposed and what is committed.</summary>
internal sealed class FullNode : INodeServices, IDisposable
{
    private readonly List<(LogEntry Entry, ulong LastDraft)> _undecided = [];

    internal FullNode(Simulation.FullTier.FullTier tier, Machine machine)
    {
        Tier = tier;
        Machine = machine;
        PageStores = tier.StoresOf(Machine, Machine.Disk);
        var files = new DatabaseFiles(Machine.Disk.Root, "app");
        var checksum = PageStores.CreateFiles(files.DatabasePath, files.SumsPath, tier.PageSize, 0);
        var meta = new DatabaseMeta
        {
            DatabaseId = 1,
            Name = "app",
            PageSize = tier.PageSize,
            IsPublished = true,
            CheckpointTarget = new LogIndex(1),
            CheckpointDone = new LogIndex(1),
            LastEntry = new LogIndex(1),
            PageCount = 1,
            Checksum = checksum,
            File = Machine.Disk.GetState(files.DatabasePath),
        };
        var options = new DqliteNodeOptions { DataDirectory = Machine.Disk.Root, PlainCommitTimeout = TimeSpan.FromSeconds(1), PlainWriterTimeout = TimeSpan.FromSeconds(1) };
        Database = ReplicatedDatabase.Open(this, options, files, DatabaseMetaFile.Create(Machine.Disk, files.MetaPath, meta));
    }

    public IPageStoreFactory PageStores { get; }

    public bool CanWrite => true;

    public string? LeaderAddress => null;

    public long AppliedIndex => Database.AppliedIndex;

    public long NowNs => MonotonicClock.NowNs;

    internal Simulation.FullTier.FullTier Tier { get; }

    internal Machine Machine { get; }

    internal ReplicatedDatabase Database { get; }

    internal long Term { get; private set; }

    /// <summary>Every entry that was committed here.</summary>
    internal List<LogEntry> Log { get; } = [];

    /// <summary>Reads at level Linearizable that were asked for.</summary>
    internal List<TaskCompletionSource> Barriers { get; } = [];

    internal uint RottenPage { get; private set; }

    /// <summary>Called after an entry took effect here.</summary>
    internal Action<FullNode, LogEntry>? Applied { get; set; }

    public void OnDraftsQueued()
    {
    }

    public void OnRot(string database, uint pageNumber) => RottenPage = pageNumber;

    public Task BeginReadAsync(ReadConsistency level, long sessionIndex, TimeSpan maxStaleness)
    {
        Barriers.Add(new TaskCompletionSource());
        return Barriers[^1].Task;
    }

    public void Wait(Task task)
    {
        while (!task.IsCompleted)
        {
            ShimDisk.Wait!(NowNs + 1_000_000);
        }
    }

    public Task<CommitOutcome> GetOutcomeAsync(CommitId commit, CancellationToken cancellationToken) => throw new NotSupportedException();

    public void Dispose()
    {
        Database.Stop(new InvalidOperationException("The node has stopped."));
        Database.Dispose();
    }

    internal void Lead(long? term = null)
    {
        Term = term ?? Term + 1;
        Database.Lead(new Term(Term));
    }

    /// <summary>Proposes what is drafted, as one entry; null when nothing is.</summary>
    internal LogEntry? Propose()
    {
        using var batch = Database.Poll(int.MaxValue, long.MaxValue);
        if (batch is null)
        {
            return null;
        }

        var index = new LogIndex(Database.ProposedIndex + 1);
        var payload = Alone(() => EntryCodec.Pages(Database.Id, Database.ProposedIndex, batch, int.MaxValue) ?? Whole(batch));
        Database.OnProposed(batch, index, new Term(batch.Term));
        _undecided.Add((new LogEntry(index, new Term(batch.Term), EntryKind.Application, payload), batch.LsnLast));
        return _undecided[^1].Entry;
    }

    /// <summary>Commits what is proposed, and what is drafted.</summary>
    internal void Commit()
    {
        Propose();
        while (CommitOne())
        {
        }
    }

    /// <summary>Commits the oldest entry that is proposed.</summary>
    internal bool CommitOne()
    {
        if (_undecided.Count == 0)
        {
            return false;
        }

        var (entry, _) = _undecided[0];
        _undecided.RemoveAt(0);
        Apply(entry);
        return true;
    }

    /// <summary>Loses the right to write.</summary>
    /// <param name="survivors">So many of the entries that were proposed are committed by another leader; the others never are.</param>
    /// <returns>The last draft of those.</returns>
    internal ulong Fence(int survivors = 0)
    {
        var kept = _undecided.Take(survivors).ToArray();
        var lastKept = kept.Length > 0 ? kept[^1].LastDraft : 0;
        _undecided.Clear();
        Database.Fence();
        foreach (var (entry, _) in kept)
        {
            Apply(entry);
        }

        return lastKept;
    }

    internal void Apply(LogEntry entry)
    {
        Alone(() =>
        {
            Database.ApplyPages(entry, EntryCodec.ReadPages(entry.Payload.Span));
            return true;
        });
        Database.Decide(entry.Index, entry.Term);
        Log.Add(entry);
        Applied?.Invoke(this, entry);
    }

    /// <summary>One thread proposes, applies and fences: none of it happens inside another, although each reads pages of the file.</summary>
    private static T Alone<T>(Func<T> work)
    {
        var hook = ShimDisk.SystemCall;
        ShimDisk.SystemCall = null;
        try
        {
            return work();
        }
        finally
        {
            ShimDisk.SystemCall = hook;
        }
    }

    /// <summary>Applies what another node has committed and this one has not.</summary>
    internal void Follow(FullNode leader)
    {
        foreach (var entry in leader.Log.Where(entry => entry.Index.Value > AppliedIndex).ToArray())
        {
            Apply(entry);
        }
    }

    /// <summary>Writes what is committed to the file; false when there is nothing to write, or that is being done.</summary>
    internal bool Checkpoint()
    {
        if (Database.BeginCheckpoint() is not { } job)
        {
            return false;
        }

        using (job.View)
        {
            new CheckpointRun(Machine.Disk, job).Finish();
        }

        Database.IsCheckpointing = false;
        Database.OnCheckpointed();
        return true;
    }

    internal ISimConnection Connect() => Tier.Connect(Database);

    /// <summary>The right to write, which is free.</summary>
    internal ulong Slot(ulong multipleOf = 0)
    {
        var ticket = Database.NextTicket();
        while (multipleOf == 0 ? ticket % 8 == 0 : ticket % multipleOf != 0)
        {
            ticket = Database.NextTicket();
        }

        Assert.That(Database.AcquireWriterAsync(ticket).IsCompletedSuccessfully, Is.True, "the slot is free");
        return ticket;
    }

    /// <summary>The right to write, if it is free.</summary>
    internal ulong? TrySlot()
    {
        var ticket = Database.NextTicket();
        if (Database.AcquireWriterAsync(ticket).IsCompletedSuccessfully)
        {
            return ticket;
        }

        Database.ReleaseWriter(ticket);
        return null;
    }

    /// <summary>Runs a write transaction up to its draft.</summary>
    internal ulong Draft(ISimConnection connection, params Op[] ops)
    {
        connection.BeginWrite(Slot());
        foreach (var op in ops)
        {
            connection.Execute(op);
        }

        return connection.Commit();
    }

    /// <summary>Runs a write transaction and commits it.</summary>
    internal void Write(ISimConnection connection, params Op[] ops)
    {
        Draft(connection, ops);
        Commit();
    }

    /// <summary>One step in a read transaction of its own.</summary>
    internal OpResult Read(ISimConnection connection, Op op)
    {
        connection.BeginRead();
        var result = connection.Execute(op);
        connection.Commit();
        return result;
    }

    /// <summary>A large batch as one entry, which nodes would cut: of whole images it may have any number.</summary>
    private byte[] Whole(IDraftBatch batch)
    {
        var payload = EntryCodec.AllocatePages(Database.Id, Database.ProposedIndex, batch.PageSize, batch.PageCount, batch.Pages, batch.Checksum);
        MemoryMarshal.AsBytes(batch.PageNumbers).CopyTo(payload.AsSpan(EntryCodec.PagesHeaderSize));
        batch.CopyImagesTo(0, batch.Pages, payload.AsSpan(EntryCodec.BodiesOffset(batch.Pages)));
        return payload;
    }
}
