namespace Dqlite.Simulation.World;

/// <summary>
/// One TCP connection: two pipes, and an end on each side. An empty chunk asks for it (SYN), another one back answers; what is not listened
/// for is answered with the end (RST).
/// </summary>
internal sealed class SimConnection
{
    private readonly SimHost _target;
    private SimEnd? _dialler;
    private SimEnd? _acceptor;

    /// <summary>Made by the network; begins when the dialling end is attached.</summary>
    public SimConnection(SimNetwork network, SimHost source, SimHost target)
    {
        _target = target;
        Forward = new SimPipe(network, this, network.Link(source, target));
        Backward = new SimPipe(network, this, network.Link(target, source));
    }

    /// <summary>From the dialling side.</summary>
    public SimPipe Forward { get; }

    /// <summary>To the dialling side.</summary>
    public SimPipe Backward { get; }

    /// <summary>Whether both sides have let it go.</summary>
    public bool IsOver => _dialler is not { IsOpen: true } && _acceptor is not { IsOpen: true };

    /// <summary>Begins to dial.</summary>
    public void Begin(SimEnd dialler)
    {
        _dialler = dialler;
        Forward.Send([]);
    }

    /// <summary>The other end; null while nobody has accepted.</summary>
    public SimEnd? Other(SimEnd end) => end == _dialler ? _acceptor : _dialler;

    /// <summary>It breaks in the middle: both ends learn it, each at its own time.</summary>
    public void Break()
    {
        Forward.SendEnd(isTorn: true);
        Backward.SendEnd(isTorn: true);
    }

    /// <summary>Both ends give it up, each at its own time.</summary>
    public void Stall()
    {
        _dialler?.GiveUpLater();
        _acceptor?.GiveUpLater();
    }

    /// <summary>Bytes have arrived.</summary>
    public void OnBytes(SimPipe pipe, ReadOnlySpan<byte> bytes, bool isCorrupt)
    {
        if (!bytes.IsEmpty)
        {
            (pipe == Forward ? _acceptor : _dialler)?.Receive(bytes, isCorrupt);
            return;
        }

        if (pipe == Backward)
        {
            _dialler!.OnAnswered();
            return;
        }

        _acceptor = _target.Listener?.Accept(this);
        if (_acceptor is null)
        {
            Backward.SendEnd(isTorn: false);
        }
        else
        {
            Backward.Send([]);
        }
    }

    /// <summary>The end has arrived.</summary>
    public void OnEnd(SimPipe pipe)
    {
        var end = pipe == Forward ? _acceptor : _dialler;
        if (end is not null)
        {
            end.OnRemoteEnd();
        }
        else
        {
            // Nobody is there who could answer.
            Backward.SendEnd(isTorn: false);
        }
    }

    /// <summary>A pipe that was full is not any more.</summary>
    public void OnRoom(SimPipe pipe) => (pipe == Forward ? _dialler : _acceptor)?.OnRoom();
}
