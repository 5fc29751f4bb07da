using System.Globalization;
using Dqlite.Crash.Histories;
using Dqlite.Crash.Ledgers;
using Dqlite.Crash.Nodes;

namespace Dqlite.Crash.Processes;

/// <summary>One node in a process of its own, and what it says. Disposing kills it.</summary>
internal sealed class NodeProcess : IDisposable
{
    private readonly ChildProcess _child;
    private readonly Ledger _ledger;
    private readonly RegisterHistory _history;
    private readonly Watch _watch;
    private (int Id, long Term) _leader;
    private long _acknowledged;
    private volatile bool _isReady;
    private volatile bool _hasSeenFullDisk;
    private volatile bool _isExpectedToEnd;
    private volatile bool _hasEnded;
    private volatile string? _stoppedBecause;

    public NodeProcess(IEnumerable<string> words, Ledger ledger, RegisterHistory history, Watch watch)
    {
        (_ledger, _history, _watch) = (ledger, history, watch);
        _child = ChildProcess.Start(OnLine, words);
    }

    /// <summary>The leader of the highest term that it spoke of, or 0.</summary>
    public int Leader => Volatile.Read(ref _leader.Id);

    /// <summary>Writes that it acknowledged.</summary>
    public long Acknowledged => Interlocked.Read(ref _acknowledged);

    /// <summary>Whether its node has started.</summary>
    public bool IsReady => _isReady;

    /// <summary>Whether it has refused a write because its disk is full.</summary>
    public bool HasSeenFullDisk => _hasSeenFullDisk;

    /// <summary>Why its node stopped by itself, or null.</summary>
    public string? StoppedBecause => _stoppedBecause;

    /// <summary>What went wrong when it has ended although nobody ended it, or null.</summary>
    public string? Accident => _hasEnded && !_isExpectedToEnd ? _stoppedBecause ?? $"the process ended by itself: {_child.Errors}" : null;

    /// <summary>SIGKILL.</summary>
    public void Kill()
    {
        _isExpectedToEnd = true;
        _child.Kill();
    }

    public void Pause() => _child.Pause();

    public void Continue() => _child.Continue();

    /// <summary>Asks it to stop politely.</summary>
    public void EndInput()
    {
        _isExpectedToEnd = true;
        _child.EndInput();
    }

    /// <summary>From now on it may end by itself.</summary>
    public void AllowToEnd() => _isExpectedToEnd = true;

    /// <summary>Waits until it has ended and all that it said is known.</summary>
    /// <returns>Its exit code.</returns>
    /// <exception cref="TimeoutException">It hung, and was killed.</exception>
    public async Task<int> EndAsync(TimeSpan patience, CancellationToken stop)
    {
        var hang = await _child.EndAsync(patience, stop);
        return hang is null ? _child.ExitCode : throw new TimeoutException(hang);
    }

    public void Dispose()
    {
        _isExpectedToEnd = true;
        _child.Dispose();
    }

    private void OnLine(string? line)
    {
        switch (line)
        {
            case null:
                _hasEnded = true;
                break;
            case NodeCommand.ReadyWord:
                _isReady = true;
                break;
            case RowWriters.FullWord:
                _hasSeenFullDisk = true;
                break;
            case var _ when ChildReport.TryParseTag(line, out var state, out var tag):
                _ledger.Record(state, tag);
                Interlocked.Add(ref _acknowledged, state == TagState.Acknowledged ? 1 : 0);
                break;
            case var _ when line.StartsWith(ChildReport.HistoryWord, StringComparison.Ordinal):
                OnHistory(HistoryEvent.Parse(line[ChildReport.HistoryWord.Length..]));
                break;
            case var _ when line.StartsWith(NodeCommand.LeaderWord, StringComparison.Ordinal):
                OnLeader(line[NodeCommand.LeaderWord.Length..].Split(' '));
                break;
            case var _ when line.StartsWith(NodeCommand.StoppedWord, StringComparison.Ordinal):
                _stoppedBecause = line[NodeCommand.StoppedWord.Length..];
                break;
        }

        _watch.Pulse();
    }

    private void OnHistory(HistoryEvent happened)
    {
        _history.Add(happened);
        if (happened.Function != RegisterFunction.Read && happened.Type == EventType.Ok)
        {
            Interlocked.Increment(ref _acknowledged);
        }
    }

    /// <summary>Announcements of different threads may pass each other: the highest term counts.</summary>
    private void OnLeader(string[] words)
    {
        var term = long.Parse(words[1], CultureInfo.InvariantCulture);
        if (term >= _leader.Term)
        {
            _leader.Term = term;
            Volatile.Write(ref _leader.Id, int.Parse(words[0], CultureInfo.InvariantCulture));
        }
    }
}
