using System.Diagnostics;
using System.Diagnostics.Tracing;

namespace Dqlite.Load.Budget;

/// <summary>Listens to the events of the nodes in this process. They come in on the threads that raise them.</summary>
internal sealed class CommitRecorder : EventListener
{
    private const string Source = "Dqlite.Net";
    private readonly CommitEvent[] _events;
    private EventSource? _source;
    private int _count;
    private volatile bool _isRecording;

    /// <param name="capacity">What comes beyond it is lost.</param>
    public CommitRecorder(int capacity) => _events = new CommitEvent[capacity];

    /// <summary>What was recorded, in the order of the times.</summary>
    public IReadOnlyList<CommitEvent> Events => [.. _events.Take(Math.Min(_count, _events.Length)).OrderBy(one => one.At)];

    /// <summary>From now on.</summary>
    public void Start()
    {
        EnableEvents(_source ?? throw new InvalidOperationException($"No event source {Source}: no node has started yet."), EventLevel.LogAlways);
        _isRecording = true;
    }

    public void Stop()
    {
        _isRecording = false;
        DisableEvents(_source!);
    }

    /// <summary>Adds an event of the tool's own.</summary>
    public void Add(CommitStep step) => Add(step, 0, 0);

    protected override void OnEventSourceCreated(EventSource eventSource)
    {
        if (eventSource.Name == Source)
        {
            _source = eventSource;
        }
    }

    protected override void OnEventWritten(EventWrittenEventArgs eventData)
    {
        if (!_isRecording || !Enum.TryParse<CommitStep>(eventData.EventName, out var step))
        {
            return;
        }

        var at = Stopwatch.GetTimestamp();
        Add(step, Field(eventData, "node"), Field(eventData, "index"), at);
    }

    private static long Field(EventWrittenEventArgs eventData, string name)
    {
        var position = eventData.PayloadNames!.IndexOf(name);
        return position < 0 ? 0 : (long)eventData.Payload![position]!;
    }

    private void Add(CommitStep step, long node, long index) => Add(step, node, index, Stopwatch.GetTimestamp());

    private void Add(CommitStep step, long node, long index, long at)
    {
        var place = Interlocked.Increment(ref _count) - 1;
        if (place < _events.Length)
        {
            _events[place] = new CommitEvent(step, node, index, at);
        }
    }
}
