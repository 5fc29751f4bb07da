using Dqlite.Net.Transport;

namespace Dqlite.Simulation.World;

/// <summary>A connection for one request, as PeerClient opens it.</summary>
internal sealed class CallEnd : DiallingEnd
{
    private readonly NodeMessage _request;
    private Action<NodeMessage?>? _answer;

    /// <summary>Begins to dial.</summary>
    /// <param name="network">The network.</param>
    /// <param name="host">Who asks.</param>
    /// <param name="context">What it says of itself, and the bounds.</param>
    /// <param name="connection">The connection.</param>
    /// <param name="request">What it asks.</param>
    /// <param name="answer">Called once: with the answer, or null when there is none. Never after the machine went down.</param>
    /// <param name="timeoutNs">For everything together.</param>
    public CallEnd(SimNetwork network, SimHost host, TransportContext context, SimConnection connection, NodeMessage request, Action<NodeMessage?> answer, long timeoutNs)
        : base(network, host, context, connection, PeerPurpose.Rpc)
    {
        _request = request;
        _answer = answer;
        network.Scheduler.After(timeoutNs, () => host.Run(() =>
        {
            if (IsOpen)
            {
                End(new TimeoutException());
            }
        }));
    }

    /// <inheritdoc/>
    protected override HandshakeVerdict Validate(Hello remote) => HandshakeVerdict.Accept;

    /// <inheritdoc/>
    protected override void OnEstablished() => Network.SendWhole(Out, PeerMessageCodec.Encode(_request, Context.Options.MaxMessageBytes), Context.Options);

    /// <inheritdoc/>
    protected override bool ReadEstablished()
    {
        if (!TryReadMessage(out var message))
        {
            return false;
        }

        switch (message)
        {
            case NodeMessage response when response.RequestId == _request.RequestId:
                Close(isAbrupt: false);
                Answer(response);
                return false;
            case not null:
                throw new PeerProtocolException($"It answered another request than {_request.RequestId}.");
            default:
                return true;
        }
    }

    /// <inheritdoc/>
    protected override void OnEnded(Exception reason) => Answer(null);

    private void Answer(NodeMessage? response)
    {
        var answer = _answer;
        _answer = null;
        answer?.Invoke(response);
    }
}
