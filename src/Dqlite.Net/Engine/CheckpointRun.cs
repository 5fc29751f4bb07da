using System.Buffers;
using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>
/// One checkpoint, step by step; each step leaves a state that a crash may find.
///
///   copies of what will be overwritten, durable in NAME.redo
///   what is added, durable behind the end of NAME.db, where nobody reads yet
///   target, durable in NAME.meta: from here on a crash is mended from NAME.redo
///   pages over pages, durable in NAME.db
///   done, durable in NAME.meta: only then may log be dropped
/// </summary>
internal sealed class CheckpointRun(IFileSystem files, CheckpointJob job)
{
    private const int RunBytes = 256 << 10;

    private int _step;
    private uint[] _pages = [];
    private uint _filePages;
    private uint _pageCount;
    private ulong _checksum;

    public CheckpointJob Job => job;

    private bool HasBegunToWrite => _step > 2;

    /// <summary>Does the next step; true after the last one.</summary>
    public bool Step()
    {
        var (database, index, lsn) = (job.Database, job.Index, job.View.Lsn);
        switch (_step++)
        {
            case 0:
                WriteCopies();
                return false;
            case 1:
                Extend();
                return false;
            case 2:
                database.MetaFile.Write(database.Meta with { CheckpointTarget = index });
                return false;
            case 3:
                (_pageCount, _checksum) = database.Pages.Checkpoint(lsn, _filePages + 1);
                return false;
            case 4:
#if MUTANTS
                index = Mutant.Is("R19b") ? new LogIndex(database.AppliedIndex) : index;
#endif
                database.MetaFile.Write(database.Meta with
                {
                    CheckpointDone = index,
                    LastEntry = index,
                    PageCount = _pageCount,
                    Checksum = _checksum,
                    File = files.GetState(database.Files.DatabasePath),
                });
                return false;
            default:
                database.Pages.CheckpointDone(lsn);
                return true;
        }
    }

    /// <summary>Does all steps that are left.</summary>
    public void Finish()
    {
        while (!Step())
        {
        }
    }

    /// <summary>
    /// Whether a step failed with the old state of the database file untouched, so that a later run begins anew: the view was given up to bound
    /// memory (10762 when it is read, busy when it is written), or the disk is full.
    /// </summary>
    public bool IsPutOff(Exception exception) => exception switch
    {
        ShimException { ResultCode: ShimResult.Busy } => true,
        ShimException { ResultCode: ShimResult.SnapshotGone } => !HasBegunToWrite,
        DurableIOException { IsDiskFull: true } => !HasBegunToWrite,
        _ => false,
    };

    /// <summary>Ends a run that is put off. The next one writes over NAME.redo, so a start must need nothing of it: neither the target nor the cut of the tail.</summary>
    public void PutOff()
    {
        var database = job.Database;
        using (var file = files.Open(database.Files.DatabasePath, DurableFileMode.Read | DurableFileMode.Write))
        {
            file.Sync();
        }

        database.MetaFile.Write(database.Meta with { CheckpointTarget = database.Meta.CheckpointDone, File = files.GetState(database.Files.DatabasePath) });
    }

    private void WriteCopies()
    {
        var (view, meta) = (job.View, job.Database.Meta);
        if (meta.CheckpointTarget > meta.CheckpointDone)
        {
            throw new RaftInvariantException($"The checkpoint of database '{job.Database.Name}' to index {meta.CheckpointTarget} has not ended: its copies must not be written over.");
        }

        _pages = Array.FindAll(job.Database.Pages.CheckpointPages(view.Lsn), page => page <= view.PageCount);
        view.ReadPage(1, new byte[view.PageSize]); // Of a view that was given up the list is too short: then this throws.
        _filePages = (uint)(files.GetState(job.Database.Files.DatabasePath).SizeBytes / view.PageSize);
        RedoFile.Write(files, job.Database.Files.RedoPath, job.Index, view, _pages, _filePages);
    }

    private void Extend()
    {
        var first = Array.FindIndex(_pages, page => page > _filePages);
        if (first < 0)
        {
            return;
        }

        var size = job.View.PageSize;
        var run = ArrayPool<byte>.Shared.Rent(RunBytes);
        try
        {
            using var file = files.Open(job.Database.Files.DatabasePath, DurableFileMode.Read | DurableFileMode.Write);
            for (var i = first; i < _pages.Length;)
            {
                var begin = _pages[i];
                var used = 0;
                for (; i < _pages.Length && used < RunBytes && _pages[i] == begin + (used / size); i++, used += size)
                {
                    job.View.ReadPage(_pages[i], run.AsSpan(used, size));
                }

                file.Write(run.AsSpan(0, used), (long)(begin - 1) * size);
            }

            file.Sync();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(run);
        }
    }
}
