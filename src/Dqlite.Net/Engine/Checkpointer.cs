using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>
/// The checkpoint thread: moves committed pages from the version store into the database files. The order makes a crash at any point
/// harmless: target durable in NAME.meta; pages, fsync; done durable in NAME.meta; only then may log be dropped.
/// </summary>
internal sealed class Checkpointer : IDisposable
{
    private readonly NodeContext _node;
    private readonly Thread _thread;
    private readonly object _gate = new();
    private readonly Queue<CheckpointJob> _jobs = new();
    private bool _stopped;

    public Checkpointer(NodeContext node)
    {
        _node = node;
        _thread = new Thread(Run) { IsBackground = true, Name = $"dqlite-checkpoint-{node.Name}" };
    }

    /// <summary>Starts the thread.</summary>
    public void Start() => _thread.Start();

    /// <summary>Loop: orders a checkpoint; at most one at a time per database.</summary>
    public void Order(CheckpointJob job)
    {
        lock (_gate)
        {
            _jobs.Enqueue(job);
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Carries out one checkpoint, on the caller's thread.</summary>
    public static void Run(NodeContext node, CheckpointJob job)
    {
        var (database, index, lsn) = (job.Database, job.Index, job.View.Lsn);
        database.MetaFile.Write(database.Meta with { CheckpointTarget = index });
        var (pageCount, checksum) = database.Pages.Checkpoint(lsn);
        database.MetaFile.Write(database.Meta with
        {
            CheckpointDone = index,
            LastEntry = index,
            PageCount = pageCount,
            Checksum = checksum,
            File = node.Files.GetState(database.Files.DatabasePath),
        });
        database.Pages.CheckpointDone(lsn);
    }

    /// <summary>Ends the thread after the checkpoint that is running.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _stopped = true;
            while (_jobs.TryDequeue(out var job))
            {
                job.View.Dispose();
            }

            Monitor.Pulse(_gate);
        }

        if (_thread.IsAlive && _thread != Thread.CurrentThread)
        {
            _thread.Join();
        }
    }

    private void Run()
    {
        while (true)
        {
            CheckpointJob job;
            lock (_gate)
            {
                while (_jobs.Count == 0 && !_stopped)
                {
                    Monitor.Wait(_gate);
                }

                if (_stopped)
                {
                    return;
                }

                job = _jobs.Dequeue();
            }

            try
            {
                using (job.View)
                {
                    Run(_node, job);
                }

                _node.Call((nowNs, outputs) => _node.Checkpoints.OnCheckpointed(job.Database, nowNs, outputs));
            }
            catch (ShimException exception) when (exception.ResultCode == ShimResult.Busy)
            {
                // Its view was given up to bound memory before a page was written; a later checkpoint begins anew.
                _node.Call((nowNs, outputs) => _node.Checkpoints.OnCheckpointed(job.Database, nowNs, outputs));
            }
            catch (Exception) when (job.Database.IsStopped)
            {
                // The database was dropped, or the node stopped, under the checkpoint.
                _node.Call((nowNs, outputs) => _node.Checkpoints.OnCheckpointed(job.Database, nowNs, outputs));
            }
#pragma warning disable CA1031 // A checkpoint that failed leaves a file that only the log can mend: the node stops, the process goes on.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                _node.Fail(exception);
                return;
            }
        }
    }
}
