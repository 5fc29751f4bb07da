using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Dqlite.Net.Transport;

/// <summary>An address in the form host:port or [IPv6]:port.</summary>
/// <param name="Host">A name, or an IP address without brackets.</param>
/// <param name="Port">The port; 0 lets the system choose, and only a listener may say so.</param>
internal readonly record struct PeerAddress(string Host, int Port)
{
    /// <summary>Whether it stands for all addresses of a machine: fit to listen on, and not to be dialled.</summary>
    public bool IsWildcard => IPAddress.TryParse(Host, out var address) && (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any));

    /// <summary>Parses an address strictly.</summary>
    /// <param name="text">The text.</param>
    /// <exception cref="ArgumentException">It is not an address.</exception>
    public static PeerAddress Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return TryParse(text) ?? throw new ArgumentException($"'{text}' is not an address: write host:port or [IPv6]:port, for example 127.0.0.1:9001.", nameof(text));
    }

    /// <summary>Whether <see cref="Parse"/> would accept it.</summary>
    public static bool IsValid(string text) => TryParse(text) is not null;

    private static PeerAddress? TryParse(string text)
    {
        var colon = text.LastIndexOf(':');
        var host = colon < 0 ? "" : text[..colon];
        var isBracketed = host is ['[', .., ']'];
        var name = isBracketed ? host[1..^1] : host;
        var isHost = Uri.CheckHostName(name) switch
        {
            UriHostNameType.IPv6 => isBracketed && !name.StartsWith('['),
            UriHostNameType.IPv4 or UriHostNameType.Dns => !isBracketed,
            _ => false,
        };
        return isHost && int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port <= IPEndPoint.MaxPort
            ? new PeerAddress(name, port)
            : null;
    }

    /// <summary>Finds the IP addresses; may ask the resolver, and so may block.</summary>
    /// <param name="allowNonLoopback">Whether other machines may be reached, or reach this one.</param>
    /// <returns>At least one.</returns>
    /// <exception cref="TransportConfigurationException">The address leaves this machine, which is not allowed.</exception>
    /// <exception cref="SocketException">The name is unknown.</exception>
    public IPEndPoint[] Resolve(bool allowNonLoopback)
    {
        var port = Port;
        var addresses = IPAddress.TryParse(Host, out var address) ? [address] : Dns.GetHostAddresses(Host);
        if (addresses.Length == 0)
        {
            throw new SocketException((int)SocketError.HostNotFound);
        }

        return allowNonLoopback || addresses.All(IPAddress.IsLoopback)
            ? [.. addresses.Select(candidate => new IPEndPoint(candidate, port))]
            : throw new TransportConfigurationException(
                $"{this} is not a loopback address, and what nodes say to each other is not encrypted. Use a loopback address, or set AllowInsecureNonLoopback "
                + "when the network between the nodes is trusted.");
    }

    /// <inheritdoc/>
    public override string ToString() => Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}";
}
