using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Dqlite.Net.Transport;

/// <summary>Settings of a <see cref="TcpPeerTransport"/>. The limits hold for what is sent and for what is received.</summary>
internal sealed record TransportOptions
{
    /// <summary>Where to listen, as host:port; port 0 lets the system choose. Null listens nowhere.</summary>
    public string? ListenAddress { get; init; }

    /// <summary>Allows addresses that other machines can reach although nothing is encrypted.</summary>
    public bool AllowInsecureNonLoopback { get; init; }

    /// <summary>Largest message, header and payload together: nothing larger is sent, or allocated for what is received.</summary>
    public int MaxMessageBytes { get; init; } = 96 << 20;

    /// <summary>Size of the fragments in which larger messages travel. Something urgent waits for one fragment at most.</summary>
    public int FragmentBytes { get; init; } = 128 << 10;

    /// <summary>Messages that may wait per peer and channel.</summary>
    public int MaxQueuedMessages { get; init; } = 1024;

    /// <summary>Bytes that may wait per peer and channel; one message always may.</summary>
    public long MaxQueuedBytes { get; init; } = 64 << 20;

    /// <summary>Connections from others that exist at one time; each has a thread.</summary>
    public int MaxAcceptedConnections { get; init; } = 256;

    /// <summary>How long a dial may take, and then how long the handshake may.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>A peer that takes no byte and acknowledges none for so long is given up.</summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long an accepted request may go unanswered.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>First pause before a peer is dialled again; doubles from there.</summary>
    public TimeSpan MinReconnectDelay { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Longest pause before a peer is dialled again.</summary>
    public TimeSpan MaxReconnectDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Where the transport logs.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;
}
