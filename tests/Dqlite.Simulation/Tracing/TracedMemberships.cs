using System.Text.Json;
using Dqlite.Raft;

namespace Dqlite.Simulation.Tracing;

/// <summary>
/// The memberships of one node as a trace shows them. This implementation puts a membership in force when it is in the log (R25), etcd/raft
/// when it is committed and applied; a trace has both.
/// </summary>
internal sealed class TracedMemberships
{
    private readonly List<(LogIndex Index, ClusterConfiguration Configuration)> _uncommitted = [];

    /// <summary>The newest one that is committed as far as this node knows.</summary>
    public ClusterConfiguration Committed { get; private set; } = ClusterConfiguration.Empty;

    /// <summary>The one that the node counts majorities by.</summary>
    public ClusterConfiguration InForce { get; private set; } = ClusterConfiguration.Empty;

    /// <summary>Begins with what the core has.</summary>
    public void Start(RaftCore core)
    {
        _uncommitted.Clear();
        InForce = core.Configuration;
        if (core.IsConfigurationCommitted || Committed.Members.Count == 0)
        {
            Committed = core.Configuration;
        }
        else
        {
            _uncommitted.Add((core.ConfigurationIndex, core.Configuration));
        }
    }

    /// <summary>Looks at the core again; returns whether another membership is in force, new or rolled back.</summary>
    public bool Follow(RaftCore core)
    {
        if (ReferenceEquals(core.Configuration, InForce))
        {
            return false;
        }

        _uncommitted.RemoveAll(item => item.Index >= core.ConfigurationIndex);
        _uncommitted.Add((core.ConfigurationIndex, core.Configuration));
        InForce = core.Configuration;
        return true;
    }

    /// <summary>The one that the commit index has reached, unless that is no news.</summary>
    public ClusterConfiguration? Reached(LogIndex commit)
    {
        var position = _uncommitted.FindLastIndex(item => item.Index <= commit);
        return position < 0 ? null : _uncommitted[position].Configuration;
    }

    /// <summary>It is committed now.</summary>
    public void Commit(ClusterConfiguration configuration)
    {
        var position = _uncommitted.FindIndex(item => ReferenceEquals(item.Configuration, configuration));
        _uncommitted.RemoveRange(0, position + 1);
        Committed = configuration;
    }

    /// <summary>Writes the fields that every line has.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartArray("conf");
        WriteIds(json, Committed.Voters);
        json.WriteStartArray();
        json.WriteEndArray();
        json.WriteEndArray();
        if (!InForce.Voters.SequenceEqual(Committed.Voters))
        {
            json.WritePropertyName("inForce");
            WriteIds(json, InForce.Voters);
        }

        if (InForce.Members.Count > InForce.Voters.Count)
        {
            json.WritePropertyName("learners");
            WriteIds(json, InForce.Members.Where(member => member.Role == MemberRole.NonVoter).Select(member => member.Id));
        }
    }

    /// <summary>Writes the field "prop" of an event that names a new membership.</summary>
    public static void WriteNew(Utf8JsonWriter json, ClusterConfiguration next)
    {
        json.WriteStartObject("prop");
        json.WriteStartObject("cc");
        json.WritePropertyName("newconf");
        WriteIds(json, next.Voters);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>Writes the field "prop" of an event that names the step between two memberships.</summary>
    public static void WriteStep(Utf8JsonWriter json, ClusterConfiguration from, ClusterConfiguration to)
    {
        json.WriteStartObject("prop");
        json.WriteStartObject("cc");
        json.WriteStartArray("changes");
        foreach (var member in to.Members.Where(member => from.Find(member.Id)?.Role != member.Role))
        {
            WriteChange(json, member.Id, member.Role == MemberRole.Voter ? "AddNewServer" : "AddLearner");
        }

        foreach (var member in from.Members.Where(member => to.Find(member.Id) is null))
        {
            WriteChange(json, member.Id, "RemoveServer");
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteChange(Utf8JsonWriter json, NodeId id, string action)
    {
        json.WriteStartObject();
        json.WriteString("nid", TraceMessages.Text(id));
        json.WriteString("action", action);
        json.WriteEndObject();
    }

    private static void WriteIds(Utf8JsonWriter json, IEnumerable<NodeId> ids)
    {
        json.WriteStartArray();
        foreach (var id in ids)
        {
            json.WriteStringValue(TraceMessages.Text(id));
        }

        json.WriteEndArray();
    }
}
