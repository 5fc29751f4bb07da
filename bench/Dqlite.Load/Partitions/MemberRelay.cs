using System.Net;
using System.Net.Sockets;

namespace Dqlite.Load.Partitions;

/// <summary>The relay in front of one member.</summary>
internal sealed class MemberRelay : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _links = [];
    private Task _run = Task.CompletedTask;

    public MemberRelay()
    {
        _listener.Start();
        Address = _listener.LocalEndpoint.ToString()!;
    }

    /// <summary>Where the other members dial.</summary>
    public string Address { get; }

    /// <summary>Begins to pass connections on; they wait until then.</summary>
    /// <param name="target">Where the member listens.</param>
    /// <param name="gateOf">The gate between this member and the one with an address.</param>
    public void Start(string target, Func<string, Gate> gateOf) => _run = AcceptAsync(IPEndPoint.Parse(target), gateOf);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _run;
        await Task.WhenAll(_links);
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync(IPEndPoint target, Func<string, Gate> gateOf)
    {
        try
        {
            while (true)
            {
                _links.Add(RelayLink.RunAsync(await _listener.AcceptSocketAsync(_stop.Token), target, gateOf, _stop.Token));
            }
        }
        catch (OperationCanceledException)
        {
            // The relay ends.
        }
    }
}
