using System.Text.Json;
using Dqlite.Raft;

namespace Dqlite.Simulation.Drive;

/// <summary>Commands that only tell.</summary>
internal static class ReportCommands
{
    public static void Status(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var node = cluster.Node(arguments.Id("node"));
        arguments.End();
        var core = node.Core;
        answer.WriteStartObject("status");
        answer.WriteNumber("firstIndex", core.FirstIndex.Value);
        answer.WriteNumber("persistedIndex", core.PersistedIndex.Value);
        answer.WriteNumber("configurationIndex", core.ConfigurationIndex.Value);
        answer.WriteBoolean("isConfigurationCommitted", core.IsConfigurationCommitted);
        answer.WriteBoolean("isTermCommitted", core.IsTermCommitted);
        answer.WriteBoolean("isTransferInProgress", core.IsTransferInProgress);
        answer.WriteNumber("nowNs", cluster.NowNs);
        answer.WriteNumber("leaseDeadlineNs", core.LeaseDeadlineNs);
        answer.WriteNumber("waitingMessages", node.Outbox.Count);
        WriteWrites(node, answer);
        if (core.Role == RaftRole.Leader)
        {
            WriteMembers(core, answer);
        }

        if (node.Failure is { } failure)
        {
            answer.WriteString("failure", failure);
        }

        answer.WriteEndObject();
    }

    public static void Log(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        var node = cluster.Node(arguments.Id("node"));
        var isDurable = arguments.Flag("durable");
        arguments.End();
        answer.WriteNumber("firstIndex", node.Core.FirstIndex.Value);
        answer.WriteNumber("persistedIndex", node.Core.PersistedIndex.Value);
        answer.WriteStartArray("entries");
        foreach (var entry in isDurable ? node.DurableLog : node.Log)
        {
            DriveJson.WriteEntry(answer, entry);
        }

        answer.WriteEndArray();
    }

    private static void WriteWrites(DriveNode node, Utf8JsonWriter answer)
    {
        answer.WriteStartArray("writes");
        foreach (var write in node.Writes)
        {
            answer.WriteStartObject();
            switch (write)
            {
                case DiskWrite.Vote { State: var state }:
                    answer.WriteString("kind", "hardState");
                    answer.WriteNumber("term", state.CurrentTerm.Value);
                    answer.WriteNumber("vote", state.VotedFor.Value);
                    break;
                case DiskWrite.Log log:
                    answer.WriteString("kind", "log");
                    answer.WriteNumber("truncateFrom", log.TruncateFrom?.Value ?? 0);
                    answer.WriteNumber("lastIndex", log.Entries.Count == 0 ? 0 : log.Entries[^1].Index.Value);
                    break;
                case DiskWrite.Compaction compaction:
                    answer.WriteString("kind", "compaction");
                    answer.WriteNumber("upTo", compaction.UpTo.Value);
                    break;
                default:
                    throw new InvalidOperationException($"{write.GetType()} has no form.");
            }

            answer.WriteEndObject();
        }

        answer.WriteEndArray();
    }

    private static void WriteMembers(RaftCore core, Utf8JsonWriter answer)
    {
        answer.WriteStartArray("members");
        foreach (var member in core.Configuration.Members)
        {
            if (core.ProgressOf(member.Id) is not { } progress)
            {
                continue; // the leader itself
            }

            answer.WriteStartObject();
            answer.WriteNumber("id", member.Id.Value);
            answer.WriteString("state", DriveJson.Name(progress.State));
            answer.WriteNumber("matchIndex", progress.MatchIndex.Value);
            answer.WriteNumber("nextIndex", progress.NextIndex.Value);
            answer.WriteNumber("inflight", progress.InflightMessages);
            answer.WriteNumber("ticksSinceContact", progress.TicksSinceContact);
            answer.WriteEndObject();
        }

        answer.WriteEndArray();
    }
}
