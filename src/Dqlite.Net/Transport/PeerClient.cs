using System.Net;
using System.Net.Sockets;
using Dqlite.Raft;

namespace Dqlite.Net.Transport;

/// <summary>Answer to a request.</summary>
/// <param name="Remote">What the answering node says of itself.</param>
/// <param name="Response">Its response.</param>
internal readonly record struct PeerReply(Hello Remote, NodeMessage Response);

/// <summary>Asks one node one thing, over a connection of its own: for nodes that have no identity yet, and for tools.</summary>
internal static class PeerClient
{
    /// <summary>Whether a call failed because of the other side or the way to it, so that another try, or another node, may answer.</summary>
    public static bool IsUnreachable(Exception exception) =>
        exception is SocketException or IOException or TimeoutException or PeerRefusedException or PeerProtocolException or MessagePackSerializationException
            or InvalidDataException or ConfigurationFormatException;

    /// <summary>Asks, on a thread of its own.</summary>
    /// <param name="address">Whom.</param>
    /// <param name="local">What this side says of itself; its purpose is ignored.</param>
    /// <param name="request">What.</param>
    /// <param name="timeout">For everything together.</param>
    /// <param name="options">Bounds, and whether the address may leave this machine; null for the defaults.</param>
    /// <param name="cancellationToken">Ends the wait; whether the request was carried out is then unknown.</param>
    /// <exception cref="ArgumentException">The address is malformed, or the request is over the bound.</exception>
    /// <exception cref="TransportConfigurationException">The address leaves this machine, which is not allowed.</exception>
    /// <exception cref="SocketException">The node cannot be reached, or the connection ended.</exception>
    /// <exception cref="PeerRefusedException">The node refused.</exception>
    /// <exception cref="PeerProtocolException">The other side speaks something else, or did not answer.</exception>
    /// <exception cref="TimeoutException">The time is up; whether the request was carried out is unknown.</exception>
    public static Task<PeerReply> CallAsync(string address, Hello local, NodeMessage request, TimeSpan timeout, TransportOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        var completion = new TaskCompletionSource<PeerReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        TransportContext.StartThread("dqlite-call", () =>
        {
            try
            {
                completion.SetResult(Call(address, local, request, timeout, options, cancellationToken));
            }
            catch (OperationCanceledException)
            {
                completion.SetCanceled(cancellationToken);
            }
            catch (Exception exception)
            {
                // Handed to whoever awaits.
                completion.SetException(exception);
            }
        });
        return completion.Task;
    }

    /// <summary>Asks, and blocks; otherwise as <see cref="CallAsync"/>. Needs no other thread.</summary>
    public static PeerReply Call(string address, Hello local, NodeMessage request, TimeSpan timeout, TransportOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        options ??= new TransportOptions();
        var end = Environment.TickCount64 + (long)timeout.TotalMilliseconds;
        var outgoing = PeerMessageCodec.Encode(request, options.MaxMessageBytes);
        var peer = PeerAddress.Parse(address);
        cancellationToken.ThrowIfCancellationRequested();
        var endPoints = peer.Resolve(options.AllowInsecureNonLoopback);
        for (var i = 0; ; i++)
        {
            try
            {
                return Call(endPoints[i], local, request, outgoing, end, options, cancellationToken);
            }
            catch (SocketException exception) when (exception.SocketErrorCode == SocketError.ConnectionRefused && i + 1 < endPoints.Length)
            {
                // The name has another address, and nothing was asked yet.
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException or PeerProtocolException or TimeoutException)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (exception is SocketException { SocketErrorCode: SocketError.TimedOut or SocketError.WouldBlock } or TimeoutException)
                {
                    throw new TimeoutException($"{address} did not answer in time.", exception);
                }

                throw;
            }
            catch (MessagePackSerializationException exception)
            {
                throw new PeerProtocolException($"{address} sent a malformed response: {exception.Message}", exception);
            }
        }
    }

    private static PeerReply Call(IPEndPoint endPoint, Hello local, NodeMessage request, OutgoingMessage outgoing, long end, TransportOptions options,
        CancellationToken cancellationToken)
    {
        using var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        using var registration = cancellationToken.UnsafeRegister(static state => ((Socket)state!).Dispose(), socket);
        socket.SendTimeout = TimeLeftMs(end);
        socket.Connect(endPoint);
        SocketCalls.Configure(socket, options.StallTimeout);
        var counters = new TransportCounters();
        using var reader = new FrameReader(socket, counters);
        reader.SetDeadline(TimeSpan.FromMilliseconds(TimeLeftMs(end)));
        var remote = Handshake.Dial(socket, reader, local with { Purpose = PeerPurpose.Rpc }, _ => HandshakeVerdict.Accept);
        new FrameBatch().SendWhole(socket, outgoing, options.FragmentBytes, counters);
        return new PeerReply(remote, ReadResponse(reader, request.RequestId, options.MaxMessageBytes));
    }

    private static NodeMessage ReadResponse(FrameReader reader, long requestId, int maxMessageBytes)
    {
        MessageAssembler[] assemblers = [new(), new(), new(), new()];
        while (reader.TryRead(maxMessageBytes, out var header, out var body))
        {
            var message = header.Type switch
            {
                FrameType.Message => assemblers[(int)header.Channel].Add(header, body),
                FrameType.Hello or FrameType.Accept or FrameType.Refuse => throw new PeerProtocolException($"It sent {header.Type} after the handshake."),
            };
            switch (message)
            {
                case NodeMessage response when response.RequestId == requestId:
                    return response;
                case not null:
                    throw new PeerProtocolException($"It answered another request than {requestId}.");
            }
        }

        throw new PeerProtocolException("It closed the connection without an answer to the request.");
    }

    /// <exception cref="TimeoutException">None is left.</exception>
    private static int TimeLeftMs(long end) => end - Environment.TickCount64 is > 0 and var left ? (int)left : throw new TimeoutException();
}
