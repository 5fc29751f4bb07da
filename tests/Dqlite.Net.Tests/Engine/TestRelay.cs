using System.Net;
using System.Net.Sockets;

namespace Dqlite.Net.Tests.Engine;

/// <summary>Passes connections on to another port of this machine, as a port mapping or a proxy does.</summary>
internal sealed class TestRelay : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly IPEndPoint _target;
    private readonly List<Task> _connections = [];
    private readonly Task _run;

    public TestRelay(string target)
    {
        _target = IPEndPoint.Parse(target);
        _listener.Start();
        Address = _listener.LocalEndpoint.ToString()!;
        _run = AcceptAsync();
    }

    public string Address { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _run;
        await Task.WhenAll(_connections);
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _connections.Add(PassAsync(await _listener.AcceptTcpClientAsync(_stop.Token)));
            }
        }
        catch (OperationCanceledException)
        {
            // The relay ends.
        }
    }

    private async Task PassAsync(TcpClient dialled)
    {
        using var passed = new TcpClient { NoDelay = true };
        using (dialled)
        {
            try
            {
                await passed.ConnectAsync(_target, _stop.Token);
                await Task.WhenAny(
                    dialled.GetStream().CopyToAsync(passed.GetStream(), _stop.Token),
                    passed.GetStream().CopyToAsync(dialled.GetStream(), _stop.Token));
            }
            catch (Exception exception) when (exception is SocketException or OperationCanceledException)
            {
                // Nobody listens there now, or the relay ends: the connection ends, and is dialled again.
            }
        }
    }
}
