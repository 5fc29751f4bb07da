using System.Buffers;
using Dqlite.Net.Transport;

namespace Dqlite.Simulation.World;

/// <summary>One side of a connection: the bytes that arrive go through the production parser and the production codecs.</summary>
internal abstract class SimEnd
{
    private readonly FrameParser _parser = new();
    private MessageAssembler[]? _assemblers;

    /// <summary>Opens; the machine's death will close it.</summary>
    protected SimEnd(SimNetwork network, SimHost host, TransportContext context, SimConnection connection, SimPipe outgoing)
    {
        Network = network;
        Host = host;
        Context = context;
        Connection = connection;
        Out = outgoing;
        host.Add(this);
    }

    /// <summary>Whether this side still takes part in it.</summary>
    public bool IsOpen { get; private set; } = true;

    /// <summary>What this side sends.</summary>
    public SimPipe Out { get; }

    /// <summary>Whether the handshake is done.</summary>
    protected bool IsEstablished { get; set; }

    protected SimNetwork Network { get; }

    protected SimHost Host { get; }

    protected TransportContext Context { get; }

    protected SimConnection Connection { get; }

    /// <summary>The preamble has been read.</summary>
    protected bool HasPreamble { get; private set; }

    /// <summary>Bytes have arrived.</summary>
    /// <param name="bytes">They belong to the caller.</param>
    /// <param name="isCorrupt">A bit was flipped in the message whose last byte is among them.</param>
    public void Receive(ReadOnlySpan<byte> bytes, bool isCorrupt)
    {
        if (!IsOpen)
        {
            return;
        }

        Context.Counters.AddReceived(bytes.Length);
        bytes.CopyTo(_parser.GetMemory(bytes.Length).Span);
        _parser.Advance(bytes.Length);
        try
        {
            ReadAll();
        }
        catch (Exception exception) when (exception is PeerProtocolException or PeerRefusedException or MessagePackSerializationException)
        {
            End(exception);
        }
        catch (MachineDownException) when (!IsOpen)
        {
            // The machine went down in the code that was called; that closed this end.
        }

        if (isCorrupt && IsOpen)
        {
            throw new InvalidOperationException("A message with a flipped bit was accepted.");
        }
    }

    /// <summary>The other side has closed the connection, or it broke.</summary>
    public void OnRemoteEnd()
    {
        if (IsOpen)
        {
            End(new PeerProtocolException(_parser.IsEmpty ? "The other side closed the connection." : "The connection was closed inside a frame."));
        }
    }

    /// <summary>The other side answers the dial.</summary>
    public virtual void OnAnswered()
    {
    }

    /// <summary>There is room for more bytes.</summary>
    public virtual void OnRoom()
    {
    }

    /// <summary>The kernel gives the connection up some time from now: nothing was heard for too long.</summary>
    public void GiveUpLater() => Network.Scheduler.After(Host.Random.Next(Network.Options.MaxStallJitterNs + 1), () => Host.Run(() =>
    {
        if (IsOpen)
        {
            End(new TimeoutException("It was silent for too long."));
        }
    }));

    /// <summary>Closes it without a report.</summary>
    /// <param name="isAbrupt">Whether what is under way may be lost.</param>
    public void Close(bool isAbrupt)
    {
        if (IsOpen)
        {
            Release();
            Host.Remove(this);
            Out.SendEnd(isAbrupt);
        }
    }

    /// <summary>The machine has gone down.</summary>
    /// <param name="isSilent">Whether nobody tells the other side.</param>
    public void Die(bool isSilent)
    {
        Release();
        if (isSilent)
        {
            Out.Tear();
            Network.Scheduler.After(Network.StallTimeoutNs, () => Connection.Other(this)?.GiveUpLater());
        }
        else
        {
            Out.SendEnd(Host.Machine.LostPower);
        }
    }

    /// <summary>Reads the next thing that was received.</summary>
    /// <returns>False when it is not complete.</returns>
    protected abstract bool ReadNext();

    /// <summary>The connection has ended by something else than <see cref="Close"/>, and this side of it is closed.</summary>
    protected abstract void OnEnded(Exception reason);

    /// <summary>The time for the handshake begins.</summary>
    protected void LimitHandshake() => Network.Scheduler.After(Context.Options.HandshakeTimeout.Ticks * 100, () => Host.Run(() =>
    {
        if (IsOpen && !IsEstablished)
        {
            End(new TimeoutException("It was silent for too long."));
        }
    }));

    /// <summary>Reads the preamble.</summary>
    protected bool TryReadPreamble()
    {
        Span<byte> preamble = stackalloc byte[HandshakeCodec.PreambleBytes];
        if (!_parser.TryReadExactly(preamble))
        {
            return false;
        }

        HandshakeCodec.ReadPreamble(preamble);
        return HasPreamble = true;
    }

    /// <summary>Reads a frame of the handshake.</summary>
    protected bool TryReadHandshake(out FrameHeader header, out ReadOnlySequence<byte> body) =>
        _parser.TryRead(FrameHeader.MaxHandshakeBytes, out header, out body);

    /// <summary>Reads a frame with a message, or with a fragment of one: then there is no message yet.</summary>
    protected bool TryReadMessage(out PeerMessage? message)
    {
        message = null;
        if (!_parser.TryRead(Context.Options.MaxMessageBytes, out var header, out var body))
        {
            return false;
        }

        if (header.Type != FrameType.Message)
        {
            throw new PeerProtocolException($"It sent {header.Type} after the handshake.");
        }

        _assemblers ??= [new(), new(), new(), new()];
        message = _assemblers[(int)header.Channel].Add(header, body);
        return true;
    }

    /// <summary>Ends the connection and reports it.</summary>
    protected void End(Exception reason)
    {
        Close(isAbrupt: true);
        OnEnded(reason);
    }

    private void ReadAll()
    {
        while (IsOpen && ReadNext())
        {
        }
    }

    private void Release()
    {
        IsOpen = false;
        _parser.Dispose();
    }
}
