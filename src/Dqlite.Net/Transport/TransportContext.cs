namespace Dqlite.Net.Transport;

/// <summary>What the parts of one transport share.</summary>
/// <param name="options">The settings.</param>
/// <param name="identity">What this node says of itself.</param>
internal sealed class TransportContext(TransportOptions options, Hello identity)
{
    private volatile Hello identity = identity;
    private volatile bool isStopped;

    /// <summary>The settings.</summary>
    public TransportOptions Options { get; } = options;

    /// <summary>The counters.</summary>
    public TransportCounters Counters { get; } = new();

    /// <summary>Gets everything that happens; set before any thread starts.</summary>
    public ITransportEvents Events { get; set; } = null!;

    /// <summary>What this node says of itself.</summary>
    public Hello Identity
    {
        get => identity;
        set => identity = value;
    }

    /// <summary>Once true, nothing is reported any more.</summary>
    public bool IsStopped
    {
        get => isStopped;
        set => isStopped = value;
    }

    /// <summary>Starts a thread of the transport's own. It is a background thread: a host that forgets to dispose can still exit.</summary>
    public static Thread StartThread(string name, Action body)
    {
        var thread = new Thread(() => body()) { IsBackground = true, Name = name };
        thread.Start();
        return thread;
    }
}
