using System.Net;
using System.Net.Sockets;

namespace Dqlite.Crash.Processes;

/// <summary>
/// Addresses for nodes, with ports that the system chose. Each set lies on a loopback address of its own: connections start at 127.0.0.1,
/// so none of them can take the port of a node that is down.
/// </summary>
internal static class Loopback
{
    public static string[] Reserve(int count)
    {
        var host = new IPAddress([127, (byte)Random.Shared.Next(1, 255), (byte)Random.Shared.Next(256), (byte)Random.Shared.Next(1, 255)]);
        var listeners = Enumerable.Range(0, count).Select(_ => new TcpListener(host, 0)).ToArray();
        Array.ForEach(listeners, listener => listener.Start());
        var addresses = listeners.Select(listener => listener.LocalEndpoint.ToString()!).ToArray();
        Array.ForEach(listeners, listener => listener.Dispose());
        return addresses;
    }
}
