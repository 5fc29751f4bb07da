using System.Buffers;
using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Simulation.Drive;

/// <summary>Sends the core's messages through the codec of the transport, so that what a driven node receives is what a real one would.</summary>
internal static class DriveCodec
{
    /// <summary>The message as its receiver gets it.</summary>
    public static DriveMessage Travel(DriveMessage message)
    {
        if (message is not DriveMessage.Raft { Message: var raft })
        {
            return message;
        }

        var outgoing = PeerMessageCodec.Encode(new RaftPeerMessage(raft), int.MaxValue);
        var bytes = new ArrayBufferWriter<byte>();
        for (var piece = outgoing.Next(); !piece.IsEmpty; piece = outgoing.Next())
        {
            bytes.Write(piece.Span);
            outgoing.Advance(piece.Length);
        }

        var received = PeerMessageCodec.Decode(bytes.WrittenMemory[..outgoing.HeaderBytes], bytes.WrittenMemory[outgoing.HeaderBytes..]);
        return new DriveMessage.Raft(((RaftPeerMessage)received).Message);
    }
}
