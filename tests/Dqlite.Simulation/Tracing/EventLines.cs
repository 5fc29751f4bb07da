using System.Text.Json;
using Dqlite.Raft;

namespace Dqlite.Simulation.Tracing;

/// <summary>The lines of one node: each event with the state that it shows.</summary>
internal sealed class EventLines(TraceWriter trace)
{
    /// <summary>The node.</summary>
    public NodeId Id { get; set; }

    /// <summary>Its state, as the next line shows it.</summary>
    public NodeView View { get; set; }

    /// <summary>Its memberships, as the next line shows them.</summary>
    public TracedMemberships Memberships { get; } = new();

    /// <summary>An event of the node alone.</summary>
    public void Write(string name, string tag = TraceWriter.CommonTag)
    {
        Begin(name, tag);
        trace.End();
    }

    /// <summary>A message leaves, or arrives.</summary>
    public void WriteMessage(string name, RaftMessage message, string tag = TraceWriter.CommonTag)
    {
        TraceMessages.Write(Begin(name, tag), message);
        trace.End();
    }

    /// <summary>A snapshot stream begins, or was put in place.</summary>
    public void WriteSnapshot(string name, NodeId from, NodeId to, Term term, LogIndex index)
    {
        TraceMessages.WriteSnapshot(Begin(name, TraceMessages.Snapshot.Tag), from, to, term, index);
        trace.End();
    }

    /// <summary>An event that names a membership.</summary>
    public void WriteMembership(string name, string tag, ClusterConfiguration next)
    {
        TracedMemberships.WriteNew(Begin(name, tag), next);
        trace.End();
    }

    /// <summary>A leader appended the membership that is in force now.</summary>
    public void WriteChange(ClusterConfiguration before)
    {
        TracedMemberships.WriteStep(Begin("ChangeConf", TraceWriter.CommonTag), before, Memberships.InForce);
        trace.End();
    }

    private Utf8JsonWriter Begin(string name, string tag)
    {
        var json = trace.Begin(tag);
        json.WriteString("name", name);
        json.WriteString("nid", TraceMessages.Text(Id));
        json.WriteStartObject("state");
        json.WriteNumber("term", View.Term.Value);
        json.WriteString("vote", TraceMessages.Text(View.Vote));
        json.WriteNumber("commit", View.Commit.Value);
        json.WriteEndObject();
        json.WriteString("role", RoleName(tag));
        json.WriteNumber("log", View.Last.Value);
        Memberships.Write(json);
        return json;
    }

    /// <summary>etcd/raft's specification has no pre-vote, which changes nothing that it knows: there a pre-candidate is a follower.</summary>
    private string RoleName(string tag) => View.Role switch
    {
        RaftRole.PreCandidate when tag == TraceWriter.OwnTag => "StatePreCandidate",
        RaftRole.Follower or RaftRole.PreCandidate => "StateFollower",
        RaftRole.Candidate => "StateCandidate",
        RaftRole.Leader => "StateLeader",
        _ => throw new InvalidOperationException($"Unknown role {View.Role}."),
    };
}
