using System.Globalization;
using Dqlite.Net.Engine;
using Dqlite.Net.Storage;
using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>Valid values to begin with.</summary>
internal sealed class Samples(SeededRandom random)
{
    private const int PeerMessageKinds = 13;

    /// <summary>An id, term or index: small, or of any size that is allowed.</summary>
    public long Number() => random.Next(long.MaxValue / 2) >> random.Next(62);

    public LogIndex Index() => new(Number());

    public Term Term() => new(Number());

    public byte[] Bytes(int max = 200)
    {
        var bytes = new byte[random.Chance(0.25) ? 0 : random.Next(max)];
        random.Fill(bytes);
        return bytes;
    }

    /// <summary>32 hexadecimal digits.</summary>
    public string Id() => string.Create(CultureInfo.InvariantCulture, $"{random.NextBits():x16}{random.NextBits():x16}");

    public string Address() => string.Create(CultureInfo.InvariantCulture, $"{random.Pick(["127.0.0.1", "[::1]", "node-é.example", "h"])}:{random.Next(65_536)}");

    public string DatabaseName() => random.Pick(["app", "a", "other-1", "_x", new string('n', 64)]);

    public ClusterConfiguration Configuration()
    {
        var id = 0L;
        return new ClusterConfiguration(Enumerable.Range(0, random.Next(6)).Select(_ =>
        {
            id += 1 + (random.Chance(0.8) ? random.Next(3) : random.Next(1L << 40));
            return new ClusterMember(new NodeId(id), Address(), Id(), random.Chance(0.7) ? MemberRole.Voter : MemberRole.NonVoter);
        }).ToArray());
    }

    public TermStart[] TermStarts(LogIndex last)
    {
        var starts = new List<TermStart>();
        // Index 1 is always in a term.
        for (long term = random.Between(1, 4), index = 1; index <= last.Value && starts.Count < 8; term += random.Between(1, 3), index += random.Between(1, 20))
        {
            starts.Add(new TermStart(new Term(term), new LogIndex(index)));
        }

        return [.. starts];
    }

    public Hello Hello() => new(random.Chance(0.3) ? "" : Id(), new NodeId(Number()), Id(), Address(), random.Chance(0.7) ? PeerPurpose.Raft : PeerPurpose.Rpc,
        random.Chance(0.9) ? Net.Transport.Hello.CurrentProtocolVersion : random.Next(5));

    public HardState HardState() => new(Term(), new NodeId(random.Next(10)));

    public NodeIdentity Identity() => new(new NodeId(Number()), Id(), Id());

    public DatabaseMeta DatabaseMeta() => new()
    {
        DatabaseId = Number(),
        Name = DatabaseName(),
        PageSize = 512 << random.Next(8),
        AutoVacuum = (byte)random.Next(3),
        IsPublished = random.Chance(0.5),
        CheckpointTarget = Index(),
        CheckpointDone = Index(),
        LastEntry = Index(),
        PageCount = (uint)random.Between(1, 100_000),
        Checksum = random.NextBits(),
        File = new Dqlite.Sqlite.FileState(Number(), random.NextBits(), Number()),
    };

    public LogBase LogBase()
    {
        var index = new LogIndex(random.Next(100));
        return new LogBase
        {
            Index = index,
            Term = Term(),
            Configuration = Configuration(),
            ConfigurationIndex = new LogIndex(random.Next(index.Value + 1)),
            TermStarts = TermStarts(index),
            OwnAddress = random.Chance(0.2) ? "" : Address(),
        };
    }

    public InstallManifest Manifest()
    {
        var index = new LogIndex(random.Between(1, 100));
        var databases = Enumerable.Range(1, random.Next(4)).Where(i => i <= index.Value).Select(i => new InstallDatabase(i, string.Create(CultureInfo.InvariantCulture, $"db{i}"), 512 << random.Next(8),
            random.Next(3), random.Chance(0.7), random.Next(index.Value + 1), (uint)random.Between(1, 50), random.NextBits()));
        return Manifest(index, [.. databases]);
    }

    /// <summary>One of these databases.</summary>
    public InstallManifest Manifest(LogIndex index, IReadOnlyList<InstallDatabase> databases)
    {
        var starts = TermStarts(index);
        return new InstallManifest(index, starts[^1].Term, ConfigurationCodec.Encode(Configuration()), new LogIndex(random.Next(index.Value + 1)), starts, databases);
    }

    public LeaderRequest LeaderRequest() => new((LeaderOperation)random.Between(1, 7), DatabaseName(), 512 << random.Next(8), random.Next(3), random.Chance(0.5),
        Number(), Address(), Id());

    public LeaderReply LeaderReply() => new((LeaderStatus)random.Next(4), Number(), Address(), Number(), Id(), random.Chance(0.5) ? null : ConfigurationCodec.Encode(Configuration()));

    public ProbeReply ProbeReply() => new(random.Chance(0.5) ? "" : Id(), Id(), [.. Enumerable.Range(0, random.Next(5)).Select(_ => Address())],
        ConfigurationCodec.Encode(Configuration()));

    public PeerMessage PeerMessage()
    {
        NodeId from = new(Number()), to = new(Number());
        long sequence = (long)random.NextBits(), sentAt = (long)random.NextBits();
        var flag = random.Chance(0.5);
        return random.Next(PeerMessageKinds) switch
        {
            0 => new NodeMessage((byte)random.Next(256), sequence, Bytes()),
            1 => new StreamChunk(sequence, sentAt, (byte)random.Next(256), Bytes()),
            2 => Wrap(new PreVoteRequest(from, to, Term(), Index(), Term())),
            3 => Wrap(new PreVoteResponse(from, to, Term(), Term(), flag)),
            4 => Wrap(new VoteRequest(from, to, Term(), Index(), Term(), flag)),
            5 => Wrap(new VoteResponse(from, to, Term(), flag)),
            6 => Wrap(new AppendEntriesResponse(from, to, Term(), flag, Index(), Index(), Term(), Index(), sequence, sentAt)),
            7 => Wrap(new HeartbeatRequest(from, to, Term(), Index(), sequence, sentAt)),
            8 => Wrap(new HeartbeatResponse(from, to, Term(), sequence, sentAt)),
            9 => Wrap(new TimeoutNow(from, to, Term(), Index())),
            10 => random.Chance(0.5) ? Wrap(new ReadIndexRequest(from, to, Term(), sequence)) : Wrap(new ReadIndexResponse(from, to, Term(), sequence, flag, Index())),
            _ => Wrap(AppendEntries(from, to, sequence, sentAt)),
        };
    }

    private AppendEntriesRequest AppendEntries(NodeId from, NodeId to, long sequence, long sentAt)
    {
        var previous = Index();
        var entries = Enumerable.Range(1, random.Next(6)).Select(i =>
            new LogEntry(new LogIndex(previous.Value + i), Term(), (EntryKind)random.Between(1, 3), Bytes())).ToArray();
        return new AppendEntriesRequest(from, to, Term(), previous, Term(), previous.Next, new LogIndex(previous.Value + entries.Length), Index(), sequence, sentAt, entries);
    }

    private static RaftPeerMessage Wrap(RaftMessage message) => new(message);
}
