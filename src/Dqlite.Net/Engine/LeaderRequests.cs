using System.Buffers;
using System.Numerics;
using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Engine;

/// <summary>What a node asks of the leader. The values travel.</summary>
internal enum LeaderOperation : byte
{
    /// <summary>Create a database unless it exists.</summary>
    CreateDatabase = 1,

    /// <summary>Drop a database.</summary>
    DropDatabase = 2,

    /// <summary>Add a non-voting member, or find the one with this address and incarnation.</summary>
    AddMember = 3,

    /// <summary>Make a member a voter.</summary>
    Promote = 4,

    /// <summary>Make a member a non-voter.</summary>
    Demote = 5,

    /// <summary>Remove a member.</summary>
    Remove = 6,

    /// <summary>Hand leadership to a member, or to the best one.</summary>
    Transfer = 7,
}

/// <summary>How a request ended. The values travel.</summary>
internal enum LeaderStatus : byte
{
    /// <summary>Done; Index is where the log has it.</summary>
    Done = 0,

    /// <summary>The asked node does not lead; Text is the leader's address, or empty.</summary>
    NotLeader = 1,

    /// <summary>Not now; ask again.</summary>
    Retry = 2,

    /// <summary>Never; Text says why.</summary>
    Refused = 3,
}

/// <summary>A request to the leader (docs/formats/peer.md, "Requests").</summary>
internal sealed record LeaderRequest(LeaderOperation Operation, string Name = "", int PageSize = 0, int AutoVacuum = 0, bool Published = true, long NodeId = 0, string Address = "", string Incarnation = "")
{
    public const byte MessageKind = 1;

    private const int MaxAutoVacuum = 2;
    private const int IncarnationDigits = 32;

    /// <summary>For a drop: the id of the database, in the place of the node's.</summary>
    public long DatabaseId => NodeId;

    /// <summary>
    /// Why it can never be carried out; null when it may be. It is asked before anything is proposed: what is committed is applied by every node, so a
    /// database that cannot be created, or a member that cannot be dialled, would stop them all.
    /// </summary>
    public string? FindProblem() => Operation switch
    {
        LeaderOperation.CreateDatabase when !DatabaseName.IsValid(Name) => $"'{Name}' is not a database name.",
        LeaderOperation.CreateDatabase when PageSize is < 512 or > 65536 || !BitOperations.IsPow2(PageSize) => $"Page size {PageSize} is not a power of two from 512 to 65536.",
        LeaderOperation.CreateDatabase when AutoVacuum is < 0 or > MaxAutoVacuum => $"There is no auto_vacuum mode {AutoVacuum}.",
        LeaderOperation.AddMember when !PeerAddress.IsValid(Address) => $"'{Address}' is not an address: write host:port or [IPv6]:port.",
        LeaderOperation.AddMember when Incarnation.Length != IncarnationDigits || !Incarnation.All(char.IsAsciiHexDigitLower) => $"'{Incarnation}' does not identify a data directory.",
        _ => null,
    };

    public byte[] Encode()
    {
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(8);
        writer.Write((byte)Operation);
        writer.Write(Name);
        writer.Write(PageSize);
        writer.Write(AutoVacuum);
        writer.Write(Published);
        writer.Write(NodeId);
        writer.Write(Address);
        writer.Write(Incarnation);
        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    public static LeaderRequest Decode(ReadOnlyMemory<byte> body)
    {
        var reader = new MessagePackReader(body);
        BodyCodec.ExpectArray(ref reader, 8);
        return new LeaderRequest((LeaderOperation)reader.ReadByte(), BodyCodec.ReadText(ref reader), reader.ReadInt32(), reader.ReadInt32(), reader.ReadBoolean(),
            reader.ReadInt64(), BodyCodec.ReadText(ref reader), BodyCodec.ReadText(ref reader));
    }
}

/// <summary>The answer to a <see cref="LeaderRequest"/>.</summary>
internal sealed record LeaderReply(LeaderStatus Status, long Index = 0, string Text = "", long NodeId = 0, string ClusterId = "", byte[]? Configuration = null)
{
    public const byte MessageKind = 2;

    public byte[] Encode()
    {
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(6);
        writer.Write((byte)Status);
        writer.Write(Index);
        writer.Write(Text);
        writer.Write(NodeId);
        writer.Write(ClusterId);
        writer.Write(Configuration ?? []);
        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    public static LeaderReply Decode(ReadOnlyMemory<byte> body)
    {
        var reader = new MessagePackReader(body);
        BodyCodec.ExpectArray(ref reader, 6);
        return new LeaderReply((LeaderStatus)reader.ReadByte(), reader.ReadInt64(), BodyCodec.ReadText(ref reader), reader.ReadInt64(), BodyCodec.ReadText(ref reader),
            BodyCodec.ReadBlob(ref reader));
    }
}

/// <summary>A blank node asks a listed member what it is.</summary>
internal sealed record ProbeRequest(IReadOnlyList<string> Members)
{
    public const byte MessageKind = 3;

    public byte[] Encode()
    {
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Members.Count);
        foreach (var member in Members)
        {
            writer.Write(member);
        }

        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }
}

/// <summary>What a node is: blank (then its incarnation and list count), or a member (then the cluster and its configuration do).</summary>
internal sealed record ProbeReply(string ClusterId, string Incarnation, IReadOnlyList<string> Members, byte[] Configuration)
{
    public const byte MessageKind = 4;

    public byte[] Encode()
    {
        var buffer = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(4);
        writer.Write(ClusterId);
        writer.Write(Incarnation);
        writer.WriteArrayHeader(Members.Count);
        foreach (var member in Members)
        {
            writer.Write(member);
        }

        writer.Write(Configuration);
        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    public static ProbeReply Decode(ReadOnlyMemory<byte> body)
    {
        var reader = new MessagePackReader(body);
        BodyCodec.ExpectArray(ref reader, 4);
        var clusterId = BodyCodec.ReadText(ref reader);
        var incarnation = BodyCodec.ReadText(ref reader);
        var members = new string[BodyCodec.ReadCount(ref reader, 99)];
        for (var i = 0; i < members.Length; i++)
        {
            members[i] = BodyCodec.ReadText(ref reader);
        }

        return new ProbeReply(clusterId, incarnation, members, BodyCodec.ReadBlob(ref reader));
    }
}
