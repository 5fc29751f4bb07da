using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Tests.Transport;

/// <summary>Records what a transport reports; tests wait for what they expect, never for time.</summary>
internal sealed class RecordingEvents : ITransportEvents
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly object gate = new();
    private readonly List<object> happened = [];

    public Func<Hello, HandshakeVerdict> Verdict { get; set; } = _ => HandshakeVerdict.Accept;

    public Action<NodeId, PeerMessage>? Handler { get; set; }

    public Func<Hello, NodeMessage, NodeMessage?> Answer { get; set; } = (_, request) => request;

    public HandshakeVerdict Validate(Hello remote) => Verdict(remote);

    public void OnMessage(NodeId from, PeerMessage message, bool isLast)
    {
        if (Handler is { } handler)
        {
            handler(from, message);
            return;
        }

        Add(new Received(from, message));
    }

    public void OnConnected(NodeId peer) => Add(new Connected(peer));

    public void OnDisconnected(NodeId peer) => Add(new Disconnected(peer));

    public void OnAccepted(Hello remote) => Add(new Accepted(remote));

    public void OnRefused(NodeId peer, string address, string reason) => Add(new Refused(peer, reason));

    public void OnRequest(Hello from, NodeMessage request, Action<NodeMessage> reply)
    {
        Add(new Requested(from, request));
        if (Answer(from, request) is { } answer)
        {
            reply(answer);
        }
    }

    /// <summary>Waits for the first event of a kind that was not taken before, and takes it.</summary>
    public T Next<T>(Func<T, bool>? where = null)
    {
        var end = Environment.TickCount64 + (long)Patience.TotalMilliseconds;
        lock (gate)
        {
            while (true)
            {
                var index = happened.FindIndex(item => item is T match && (where is null || where(match)));
                if (index >= 0)
                {
                    var item = (T)happened[index];
                    happened.RemoveAt(index);
                    return item;
                }

                var leftMs = end - Environment.TickCount64;
                Assert.That(leftMs, Is.GreaterThan(0), $"No {typeof(T).Name} came. What did: {string.Join(", ", happened.TakeLast(20))}");
                Monitor.Wait(gate, (int)leftMs);
            }
        }
    }

    public int Count<T>()
    {
        lock (gate)
        {
            return happened.OfType<T>().Count();
        }
    }

    private void Add(object item)
    {
        lock (gate)
        {
            happened.Add(item);
            Monitor.PulseAll(gate);
        }
    }
}

internal sealed record Received(NodeId From, PeerMessage Message);

internal sealed record Connected(NodeId Peer);

internal sealed record Disconnected(NodeId Peer);

internal sealed record Accepted(Hello Remote);

internal sealed record Refused(NodeId Peer, string Reason);

internal sealed record Requested(Hello From, NodeMessage Request);
