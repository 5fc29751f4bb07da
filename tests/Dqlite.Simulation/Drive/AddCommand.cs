using System.Text;
using System.Text.Json;
using Dqlite.Raft;

namespace Dqlite.Simulation.Drive;

/// <summary>The command <c>add</c>: nodes with what they have on disk.</summary>
internal static class AddCommand
{
    public static void Run(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var ids = arguments.IdsOrNull("ids") ?? throw new DriveException("\"add\" needs the field \"ids\".");
        var configuration = MembersOf(arguments);
        var snapshot = SnapshotOf(arguments, configuration);
        var log = LogOf(arguments, snapshot?.Index ?? LogIndex.Zero);
        var lastTerm = log.Count > 0 ? log[^1].Term : snapshot?.Term ?? Term.Zero;
        var state = new HardState(new Term(arguments.NumberOrNull("term") ?? lastTerm.Value), new NodeId(arguments.NumberOrNull("vote") ?? 0));
        var commit = new LogIndex(arguments.NumberOrNull("commit") ?? 0);
        var options = OptionsOf(arguments);
        var autoProcess = arguments.Flag("autoProcess", otherwise: true);
        var autoPersist = PersistModeOrNull(arguments) ?? PersistMode.Everything;
        arguments.End();
        foreach (var id in ids)
        {
            if (cluster.Contains(id) || ids.Count(other => other == id) > 1)
            {
                throw new DriveException($"Node {id} {(cluster.Contains(id) ? "exists already" : "stands twice")}.");
            }
        }

        try
        {
            foreach (var id in ids)
            {
                cluster.Add(options with { Id = id }, DiskOf(configuration, snapshot, log, state), commit, autoProcess, autoPersist);
            }
        }
        catch (Exception wrong) when (wrong is ArgumentException or RaftInvariantException)
        {
            throw new DriveException($"A node cannot start so: {wrong.Message}");
        }
    }

    /// <summary>A member whose address and incarnation follow from its id.</summary>
    public static ClusterMember Member(NodeId id, MemberRole role) => new(id, $"node{id}:1", $"{id.Value:x32}", role);

    /// <summary>The fields "voters" and "nonVoters".</summary>
    public static ClusterConfiguration MembersOf(Arguments arguments)
    {
        var voters = arguments.IdsOrNull("voters") ?? [];
        var nonVoters = arguments.IdsOrNull("nonVoters") ?? [];
        try
        {
            return new ClusterConfiguration([.. voters.Select(id => Member(id, MemberRole.Voter)), .. nonVoters.Select(id => Member(id, MemberRole.NonVoter))]);
        }
        catch (ArgumentException wrong)
        {
            throw new DriveException($"That is no membership: {wrong.Message}");
        }
    }

    /// <summary>The field "autoPersist".</summary>
    public static PersistMode? PersistModeOrNull(Arguments arguments) => arguments.ChoiceOrNull("autoPersist", "all", "hardState", "none") switch
    {
        null => null,
        "all" => PersistMode.Everything,
        "hardState" => PersistMode.HardState,
        _ => PersistMode.Nothing,
    };

    private static DriveDisk DiskOf(ClusterConfiguration configuration, SnapshotState? snapshot, IReadOnlyList<LogEntry> log, HardState state)
    {
        var disk = DriveDisk.Create(configuration);
        if (snapshot is not null)
        {
            disk.Install(snapshot);
        }

        disk.Write(new DiskWrite.Vote(state));
        disk.Write(new DiskWrite.Log(null, log));
        return disk;
    }

    private static RaftOptions OptionsOf(Arguments arguments)
    {
        var standard = new RaftOptions { Id = new NodeId(1), ElectionTimeoutTicks = 10, HeartbeatTicks = 1, LeaseNs = 0 };
        return standard with
        {
            ElectionTimeoutTicks = arguments.Count("electionTicks", standard.ElectionTimeoutTicks, least: 2),
            HeartbeatTicks = arguments.Count("heartbeatTicks", standard.HeartbeatTicks, least: 1),
            LeaseNs = arguments.NumberOrNull("leaseNs") ?? standard.LeaseNs,
            MaxAppendBytes = arguments.Count("maxAppendBytes", standard.MaxAppendBytes, least: 1, most: int.MaxValue),
            MaxInflightMessages = arguments.Count("maxInflight", standard.MaxInflightMessages, least: 1),
            MaxInflightBytes = arguments.NumberOrNull("maxInflightBytes", least: 1) ?? standard.MaxInflightBytes,
            Seed = (ulong)(arguments.NumberOrNull("seed") ?? 0),
        };
    }

    private static SnapshotState? SnapshotOf(Arguments arguments, ClusterConfiguration configuration)
    {
        if (arguments.ObjectOrNull("snapshot") is not { } fields)
        {
            return null;
        }

        var index = new LogIndex(fields.Number("index", least: 1));
        var term = new Term(fields.Number("term", least: 1));
        fields.End();
        return new SnapshotState(index, term, configuration, LogIndex.Zero, [new TermStart(term, new LogIndex(1))]);
    }

    private static List<LogEntry> LogOf(Arguments arguments, LogIndex previous)
    {
        var entries = new List<LogEntry>();
        foreach (var item in arguments.Items("log"))
        {
            previous = previous.Next;
            entries.Add(item.ValueKind == JsonValueKind.Object
                ? EntryOf(new Arguments(item, "An entry"), previous)
                : new LogEntry(previous, TermOf(item), EntryKind.Application, ReadOnlyMemory<byte>.Empty));
        }

        return entries;
    }

    private static Term TermOf(JsonElement item) => item.ValueKind == JsonValueKind.Number && item.TryGetInt64(out var term) && term > 0
        ? new Term(term)
        : throw new DriveException("An item of \"log\" must be a term or an object.");

    private static LogEntry EntryOf(Arguments fields, LogIndex index)
    {
        var term = new Term(fields.Number("term", least: 1));
        var data = fields.TextOrNull("data");
        var isConfiguration = fields.Has("voters");
        var configuration = MembersOf(fields);
        var isNoOp = fields.Flag("noOp");
        fields.End();
        return (data, isConfiguration, isNoOp) switch
        {
            (null, true, false) => new LogEntry(index, term, EntryKind.Configuration, ConfigurationCodec.Encode(configuration)),
            (null, false, true) => new LogEntry(index, term, EntryKind.NoOp, ReadOnlyMemory<byte>.Empty),
            (_, false, false) => new LogEntry(index, term, EntryKind.Application, Encoding.UTF8.GetBytes(data ?? "")),
            _ => throw new DriveException($"Entry {index} has \"data\", members or \"noOp\", not several of them."),
        };
    }
}
