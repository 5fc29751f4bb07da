using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>
/// Moves committed pages from the version store into the database files, beside the loop.
/// </summary>
internal sealed class Checkpointer(NodeContext node) : INodeWork
{
    private readonly Lock _gate = new();
    private readonly Queue<CheckpointJob> _jobs = new();
    private INodeWorker? _worker;
    private CheckpointRun? _current;
    private bool _stopped;

    /// <summary>Starts the worker.</summary>
    public void Start(INodeThreads threads) => _worker = threads.Start($"dqlite-checkpoint-{node.Name}", this);

    /// <summary>Loop: orders a checkpoint; at most one at a time per database.</summary>
    public void Order(CheckpointJob job)
    {
        lock (_gate)
        {
            _jobs.Enqueue(job);
        }

        _worker?.Wake();
    }

    /// <summary>
    /// Ends the worker after the step that is running; unless abruptly, also the checkpoint that it is in: what is left of it would mix two states in the
    /// database file, and the copies that mend it are written over by the next one. On the loop's thread.
    /// </summary>
    public void Stop(bool abruptly)
    {
        lock (_gate)
        {
            _stopped = true;
        }

        _worker?.Stop();
        foreach (var job in _jobs)
        {
            job.View.Dispose();
        }

        _jobs.Clear();
        if (_current is not { } run)
        {
            return;
        }

        _current = null;
        using (run.Job.View)
        {
            if (!abruptly)
            {
                run.Finish();
                run.Job.Database.OnCheckpointed();
            }
        }
    }

    /// <inheritdoc/>
    public long RunOnce()
    {
        _current ??= Next();
        if (_current is not { } run)
        {
            return NodeWork.Idle;
        }

        try
        {
            if (Advance(run))
            {
                End(run);
            }

            return NodeWork.Again;
        }
        catch (Exception) when (run.Job.Database.IsStopped)
        {
            // The database was dropped, or the node stopped, under the checkpoint.
            End(run);
        }
#pragma warning disable CA1031 // A checkpoint that failed leaves a file that only the log can mend: the node stops, the process goes on.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            node.Fail(exception);
            return NodeWork.Ended;
        }

        return NodeWork.Again;
    }

    private static bool Advance(CheckpointRun run)
    {
        try
        {
            return run.Step();
        }
        catch (Exception exception) when (run.IsPutOff(exception))
        {
            run.PutOff();
            return true;
        }
    }

    private CheckpointRun? Next()
    {
        lock (_gate)
        {
            return !_stopped && _jobs.TryDequeue(out var job) ? new CheckpointRun(node.Files, job) : null;
        }
    }

    private void End(CheckpointRun run)
    {
        _current = null;
        run.Job.View.Dispose();
        node.Call((nowNs, outputs) => node.Checkpoints.OnCheckpointed(run.Job.Database, nowNs, outputs));
    }
}
