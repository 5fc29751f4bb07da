using Dqlite.Net;
using Dqlite.Net.Engine;
using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Simulation.Workload;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Tests.CoreTier;

/// <summary>The model in the place of the page database, under the engine's own code: a leader, and a follower that applies its entries.</summary>
public sealed class CoreTierTests
{
    private static readonly WorkloadShape Shape = new(Registers: 10, Lists: 2, Accounts: 3, InitialBalance: 100, Blobs: 2);
    private static readonly Term FirstTerm = new(1);

    private Dqlite.Simulation.CoreTier.CoreTier _tier = null!;
    private Node _leader = null!;
    private Node _follower = null!;

    [SetUp]
    public void SetUp()
    {
        _tier = new Dqlite.Simulation.CoreTier.CoreTier();
        (_leader, _follower) = (new Node(_tier, 1), new Node(_tier, 2));
        _leader.Database.Lead(FirstTerm);
        Commit(Setup());
    }

    [TearDown]
    public void TearDown()
    {
        _leader.Dispose();
        _follower.Dispose();
        _tier.Dispose();
    }

    [Test]
    public void A_follower_that_applies_the_entries_has_the_same_pages()
    {
        using var connection = _tier.Connect(_leader.Database);
        for (var i = 1; i <= 50; i++)
        {
            var lsn = Write(connection, new Op(OpKind.Append, i % 2, i), new Op(OpKind.Transfer, i % 3, 5, (i + 1) % 3), new Op(OpKind.WriteBlob, i % 2, i, i * 50 % 3000));
            if (i % 3 == 0)
            {
                Commit(lsn);
            }

            if (i % 10 == 0)
            {
                _leader.Checkpoint();
                _follower.Checkpoint();
            }
        }

        Commit(Write(connection, new Op(OpKind.WriteRegister, 3, 4)));
        Assert.That((_tier.Check(_leader.Database), _tier.Check(_follower.Database)), Is.EqualTo(((string?)null, (string?)null)));
        Assert.That(_tier.Image(_follower.Database), Is.EqualTo(_tier.Image(_leader.Database)));
        using var reader = _tier.Connect(_follower.Database);
        reader.BeginRead();
        Assert.That(reader.Execute(new Op(OpKind.ReadList, 1)).Values, Is.EqualTo(Enumerable.Range(0, 25).Select(i => (2L * i) + 1)));
        Assert.That(_tier.ConnectPlain(_leader.Database), Is.Null);
    }

    [Test]
    public void A_commit_waits_for_the_log_and_a_fence_decides_what_was_not_proposed()
    {
        using var connection = _tier.Connect(_leader.Database);
        var proposed = _leader.Database.WaitCommittedAsync(Write(connection, new Op(OpKind.WriteRegister, 1, 1)));
        var entry = _leader.Propose()!;
        var queued = _leader.Database.WaitCommittedAsync(Write(connection, new Op(OpKind.WriteRegister, 1, 2)));
        Assert.That(proposed.IsCompleted, Is.False);
        _leader.Database.Fence();
        Assert.That(queued.IsFaulted, Is.True);
        Apply(_leader, entry);
        Assert.That(proposed.IsCompleted, Is.False, "the entry is applied; what its index decides comes next");
        _leader.Database.Decide(entry.Index, entry.Term);
        Assert.That(proposed.IsCompletedSuccessfully, Is.True);
        Apply(_follower, entry);
        Assert.That(_tier.Image(_leader.Database), Is.EqualTo(_tier.Image(_follower.Database)));
    }

    [Test]
    public void After_a_checkpoint_that_ended_at_any_operation_the_same_state_comes_back([Range(1, 24)] int operation)
    {
        using var connection = _tier.Connect(_leader.Database);
        _leader.Checkpoint();
        var log = new List<LogEntry>();
        for (var i = 1; i <= 20; i++)
        {
            Write(connection, new Op(OpKind.Append, i % 2, i), new Op(OpKind.WriteBlob, i % 2, i, i * 300));
            var entry = _leader.Propose()!;
            Apply(_leader, entry);
            log.Add(entry);
        }

        var image = _tier.Image(_leader.Database);
        _leader.Machine.CrashAtOperation = _leader.Machine.Operations + operation;
        try
        {
            _leader.Checkpoint();
            Assert.That(operation, Is.GreaterThan(15), "the checkpoint has more operations");
            _leader.Machine.CrashAtOperation = null;
            _leader.Machine.PowerOff();
        }
        catch (Exception exception) when (exception is MachineDownException or StorageFailedException)
        {
        }

        _leader.Restart();
        foreach (var entry in log)
        {
            Apply(_leader, entry);
        }

        Assert.That(_tier.Check(_leader.Database), Is.Null);
        Assert.That(_tier.Image(_leader.Database), Is.EqualTo(image));
    }

    [Test]
    public void A_crash_in_the_checkpoint_after_one_that_was_put_off_loses_nothing([Range(1, 6)] int operation)
    {
        _leader.Checkpoint();
        using var connection = _tier.Connect(_leader.Database);
        var log = new List<LogEntry>();
        Append(connection, log, 1);
        var job = _leader.Database.BeginCheckpoint()!;
        var putOff = new CheckpointRun(_leader.Machine.Disk, job);
        for (var step = 0; step < 3; step++)
        {
            putOff.Step();
        }

        job.View.Dispose(); // as if it had been given up
        Append(connection, log, 2);
        var refusal = Assert.Throws<ShimException>(() => putOff.Step())!;
        Assert.That((refusal.ResultCode, putOff.IsPutOff(refusal)), Is.EqualTo((ShimResult.Busy, true)));
        putOff.PutOff();
        var meta = _leader.Database.Meta;
        Assert.That((meta.CheckpointTarget, meta.File), Is.EqualTo((meta.CheckpointDone, _leader.Machine.Disk.GetState(_leader.Database.Path))));
        _leader.Database.IsCheckpointing = false;

        var image = _tier.Image(_leader.Database);
        _leader.Machine.CrashAtOperation = _leader.Machine.Operations + operation;
        Assert.That(_leader.Checkpoint, Throws.Exception);
        _leader.Restart();
        log.ForEach(entry => Apply(_leader, entry));
        Assert.That(_tier.Image(_leader.Database), Is.EqualTo(image));
    }

    [Test]
    public void A_checkpoint_does_not_write_over_the_copies_of_one_that_has_not_ended([Range(3, 4)] int steps)
    {
        using var connection = _tier.Connect(_leader.Database);
        var log = new List<LogEntry>();
        Append(connection, log, 1);
        using var view = _leader.Database.BeginCheckpoint()!.View;
        var first = new CheckpointRun(_leader.Machine.Disk, new CheckpointJob(_leader.Database, view, new LogIndex(_leader.Database.AppliedIndex)));
        for (var step = 0; step < steps; step++)
        {
            first.Step();
        }

        _leader.Database.IsCheckpointing = false;
        Append(connection, log, 2);
        using var laterView = _leader.Database.BeginCheckpoint()!.View;
        var later = new CheckpointRun(_leader.Machine.Disk, new CheckpointJob(_leader.Database, laterView, new LogIndex(_leader.Database.AppliedIndex)));
        Assert.That(() => later.Step(), Throws.TypeOf<RaftInvariantException>().With.Message.Contains("copies"));
        first.Finish();
        new CheckpointRun(_leader.Machine.Disk, new CheckpointJob(_leader.Database, laterView, new LogIndex(_leader.Database.AppliedIndex))).Finish();
        var image = _tier.Image(_leader.Database);
        _leader.Machine.PowerOff();
        _leader.Restart();
        Assert.That(_tier.Image(_leader.Database), Is.EqualTo(image));
    }

    [Test]
    public void A_view_that_is_gone_puts_the_checkpoint_off_until_pages_are_overwritten()
    {
        var job = _leader.Database.BeginCheckpoint()!;
        using var view = job.View;
        var run = new CheckpointRun(_leader.Machine.Disk, job);
        var gone = new ShimException(ShimResult.SnapshotGone, "read a page", "test.db");
        Assert.That(run.IsPutOff(gone), Is.True);
        for (var step = 0; step < 3; step++)
        {
            run.Step();
        }

        Assert.That(run.IsPutOff(gone), Is.False);
    }

    [Test]
    public void A_closed_database_gets_no_connection()
    {
        _follower.Dispose();
        Assert.That(() => _tier.Connect(_follower.Database), Throws.TypeOf<SimDatabaseException>());
    }

    private ulong Setup()
    {
        using var connection = _tier.Connect(_leader.Database);
        return Write(connection, [.. _tier.Setup(Shape)]);
    }

    private void Append(ISimConnection connection, List<LogEntry> log, int value)
    {
        Write(connection, new Op(OpKind.Append, 1, value), new Op(OpKind.WriteBlob, 1, value, 9000 * value));
        log.Add(_leader.Propose()!);
        Apply(_leader, log[^1]);
    }

    private ulong Write(ISimConnection connection, params Op[] ops)
    {
        var ticket = _leader.Database.NextTicket();
        Assert.That(_leader.Database.AcquireWriterAsync(ticket).IsCompletedSuccessfully, Is.True);
        connection.BeginWrite(ticket);
        Array.ForEach(ops, op => connection.Execute(op));
        var lsn = connection.Commit();
        _leader.Database.ReleaseWriter(ticket);
        return lsn;
    }

    private void Commit(ulong lsn)
    {
        var committed = _leader.Database.WaitCommittedAsync(lsn);
        var entry = _leader.Propose()!;
        Apply(_leader, entry);
        Apply(_follower, entry);
        Assert.That(committed.IsCompletedSuccessfully, Is.True);
    }

    private static void Apply(Node node, LogEntry entry) => node.Database.ApplyPages(entry, EntryCodec.ReadPages(entry.Payload.Span));

    /// <summary>A machine with one database, and what of a node the database asks for.</summary>
    private sealed class Node : INodeServices, IDisposable
    {
        private readonly DatabaseFiles _files;

        public Node(ITier tier, int number)
        {
            Machine = new Machine(number, new SeededRandom((ulong)number));
            PageStores = tier.StoresOf(Machine, Machine.Disk);
            _files = new DatabaseFiles(Machine.Disk.Root, "test");
            var checksum = PageStores.CreateFiles(_files.DatabasePath, _files.SumsPath, tier.PageSize, 0);
            var meta = new DatabaseMeta
            {
                DatabaseId = 1,
                Name = "test",
                PageSize = tier.PageSize,
                IsPublished = true,
                CheckpointTarget = new LogIndex(1),
                CheckpointDone = new LogIndex(1),
                LastEntry = new LogIndex(1),
                PageCount = 1,
                Checksum = checksum,
                File = Machine.Disk.GetState(_files.DatabasePath),
            };
            Database = ReplicatedDatabase.Open(this, new DqliteNodeOptions { DataDirectory = "x" }, _files, DatabaseMetaFile.Create(Machine.Disk, _files.MetaPath, meta));
            Machine.Disk.SyncDirectory(Machine.Disk.Root);
        }

        public Machine Machine { get; }

        public ReplicatedDatabase Database { get; private set; }

        public IPageStoreFactory PageStores { get; }

        public bool CanWrite => true;

        public string? LeaderAddress => null;

        public long AppliedIndex => Database.AppliedIndex;

        public long NowNs => 0;

        public void OnDraftsQueued()
        {
        }

        public void OnRot(string database, uint pageNumber) => throw new InvalidOperationException($"Page {pageNumber} is rotten.");

        public Task BeginReadAsync(ReadConsistency level, long sessionIndex, TimeSpan maxStaleness) => Task.CompletedTask;

        public void Wait(Task task) => throw new NotSupportedException();

        public Task<CommitOutcome> GetOutcomeAsync(CommitId commit, CancellationToken cancellationToken) => throw new NotSupportedException();

        /// <summary>What is drafted, as the next entry of the log.</summary>
        public LogEntry? Propose()
        {
            using var batch = Database.Poll(4, long.MaxValue);
            if (batch is null)
            {
                return null;
            }

            var entry = new LogEntry(new LogIndex(Database.ProposedIndex + 1), FirstTerm, EntryKind.Application, EntryCodec.Pages(Database.Id, Database.ProposedIndex, batch, int.MaxValue)!);
            Database.OnProposed(batch, entry.Index, entry.Term);
            return entry;
        }

        /// <summary>As the checkpoint thread does it.</summary>
        public void Checkpoint()
        {
            var job = Database.BeginCheckpoint()!;
            using var view = job.View;
            new CheckpointRun(Machine.Disk, job).Finish();

            Database.IsCheckpointing = false;
            Database.OnCheckpointed();
        }

        public void Restart()
        {
            Machine.Start();
            var metaFile = DatabaseMetaFile.Open(Machine.Disk, _files.MetaPath);
            DatabaseRecovery.Run(Machine.Disk, _files, metaFile);
            DatabaseCheck.Verify(Machine.Disk, _files, metaFile.Meta);
            Database = ReplicatedDatabase.Open(this, new DqliteNodeOptions { DataDirectory = "x" }, _files, metaFile);
        }

        public void Dispose() => Database.Dispose();
    }
}
