using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>
/// Runs one node: the loop, the log, the checkpoint, each beside the others. A failure anywhere ends them all; the process lives.
///
///   running --StopAsync--> handing over --> stopping --> stopped (checkpointed)
///   running --Abort-----------------------------------> stopped (as if killed)
///   running --Fail------------------------------------> stopped (Failure says why)
/// </summary>
internal sealed class NodeRuntime : ISharedNodeWork
{
    private readonly NodeContext _node;
    private readonly NodeLoop _loop;
    private readonly Checkpointer _checkpointer;
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _stopping;
    private volatile bool _abrupt;

    public NodeRuntime(NodeParts parts)
    {
        _node = new NodeContext(parts, Fail);
        _loop = new NodeLoop(_node);
        _checkpointer = new Checkpointer(_node);
        _node.Checkpoints.Worker = _checkpointer;
    }

    /// <summary>The node's parts.</summary>
    public NodeContext Node => _node;

    /// <summary>Completes when all workers have ended and every file is closed.</summary>
    public Task Stopped => _stopped.Task;

    /// <summary>Opens the databases and starts the workers.</summary>
    public void Start()
    {
        try
        {
            _node.Databases.Load();
        }
        catch
        {
            _abrupt = _stopping = true;
            EndAndReport();
            throw;
        }

        _node.Applier.CommitIndex = _node.Core.CommitIndex;
        _node.LogWriter.Start(_node.Threads, _node.Name);
        _checkpointer.Start(_node.Threads);
        _node.OnConfigurationChanged();
        _node.Inbox.Attach(_node.Threads.Start($"dqlite-node-{_node.Name}", this));
    }

    /// <summary>Ends the node politely, once leadership was handed over: log flushed, databases checkpointed.</summary>
    public void Stop()
    {
        _stopping = true;
        _node.Inbox.Wake();
    }

    /// <summary>Ends the node as a kill would: nothing is flushed or checkpointed, sockets are reset.</summary>
    public void Abort()
    {
        _abrupt = true;
        Stop();
    }

    /// <summary>Any thread: the node cannot go on.</summary>
    public void Fail(Exception exception)
    {
        lock (_stopped)
        {
            if (_node.Failure is null && !_stopping)
            {
                _node.Failure = exception;
                _node.Log.Failed(_node.Core.Id.Value, exception.Message, exception);
            }
        }

        Abort();
    }

    /// <inheritdoc/>
    public long RunOnce()
    {
        var next = RunShared();
        if (!_stopping)
        {
            return next;
        }

        EndAndReport();
        return NodeWork.Ended;
    }

    /// <inheritdoc/>
    public long RunShared()
    {
        try
        {
            if (!_stopping)
            {
                _loop.RunOnce();
            }
        }
#pragma warning disable CA1031 // The boundary of the loop: whatever is wrong stops the node, never the process.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Fail(exception);
        }

        return _stopping ? NodeWork.Again : _loop.NextDeadlineNs;
    }

    private void EndAndReport()
    {
        var failures = End();
        _node.OnEnded();
        if (failures.Count > 0)
        {
            _stopped.TrySetException(failures);
        }

        _stopped.TrySetResult();
    }

    /// <summary>Every step is taken, whatever happens in those before it: files and locks must be free afterwards.</summary>
    private List<Exception> End()
    {
        var failures = new List<Exception>();
        void Step(Action action)
        {
            try
            {
                action();
            }
#pragma warning disable CA1031 // Reported to whoever stops the node.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                failures.Add(exception);
            }
        }

        var reason = _node.StoppedError();
        _node.IsStopping = true;
        _node.Inbox.Close();
        if (_abrupt)
        {
            Step(() => _node.Transport?.StopAbruptly());
        }

        Step(_node.Installs.Stop);
        Step(_node.Replicator.Close);
        Step(() => _node.Databases.Stop(reason));
        Step(() => _node.Reads.Stop(reason));
        Step(() => _node.Requests.Stop(reason));
        Step(_node.Checkpoints.Stop);
        Step(() => _checkpointer.Stop(_abrupt));
        Step(() => _node.LogWriter.Stop(_abrupt));
        if (!_abrupt)
        {
            foreach (var database in _node.Databases.All)
            {
                Step(() => FinalCheckpoint(database));
            }
        }

        Step(_node.Databases.Close);
        Step(() => _node.Transport?.Dispose());
        Step(_node.LogWriter.Dispose);
        Step(_node.PublishStopped);
        _node.Log.Stopped(_node.Core.Id.Value);
        return failures;
    }

    /// <summary>What is applied goes to the file as far as this node's own log has it.</summary>
    private void FinalCheckpoint(ReplicatedDatabase database)
    {
        if (database.AppliedIndex > _node.Store.DurableIndex.Value)
        {
            // A full disk kept entries out of this node's own log: they were committed without it, and must come again from the leader.
            return;
        }

        database.IsCheckpointing = false;
        if (database.BeginCheckpoint() is { } job)
        {
            using (job.View)
            {
                new CheckpointRun(_node.Files, job).Finish();
            }
        }
    }
}
