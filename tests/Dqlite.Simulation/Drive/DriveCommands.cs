using System.Text.Json;

namespace Dqlite.Simulation.Drive;

/// <summary>Carries out a command.</summary>
/// <param name="cluster">What it works on.</param>
/// <param name="arguments">Its fields.</param>
/// <param name="answer">Stands inside the answer.</param>
internal delegate void DriveCommand(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer);

/// <summary>All commands by name.</summary>
internal static class DriveCommands
{
    /// <summary>Version of docs/formats/drive.md; raised when a field or a command changes its meaning or goes.</summary>
    public const int Version = 1;

    public static SortedDictionary<string, DriveCommand> All { get; } = new(StringComparer.Ordinal)
    {
        ["version"] = ReportVersion,
        ["add"] = AddCommand.Run,
        ["set"] = NodeCommands.Set,
        ["campaign"] = NodeCommands.Campaign,
        ["tick"] = NodeCommands.Tick,
        ["advance"] = NodeCommands.Advance,
        ["propose"] = NodeCommands.Propose,
        ["changeConfiguration"] = MembershipCommand.Run,
        ["transfer"] = NodeCommands.Transfer,
        ["stepDown"] = NodeCommands.StepDown,
        ["readIndex"] = NodeCommands.ReadIndex,
        ["forgetLeader"] = NodeCommands.ForgetLeader,
        ["openConnection"] = NodeCommands.OpenConnection,
        ["closeConnection"] = NodeCommands.CloseConnection,
        ["messages"] = MessageCommands.List,
        ["deliver"] = MessageCommands.Deliver,
        ["drop"] = MessageCommands.Drop,
        ["stabilize"] = MessageCommands.Stabilize,
        ["isolate"] = MessageCommands.Isolate,
        ["heal"] = MessageCommands.Heal,
        ["process"] = StorageCommands.Process,
        ["persist"] = StorageCommands.Persist,
        ["crash"] = StorageCommands.Crash,
        ["restart"] = StorageCommands.Restart,
        ["compact"] = StorageCommands.Compact,
        ["snapshot"] = StorageCommands.Snapshot,
        ["status"] = ReportCommands.Status,
        ["log"] = ReportCommands.Log,
    };

    private static void ReportVersion(DriveCluster cluster, Arguments arguments, Utf8JsonWriter answer)
    {
        arguments.End();
        answer.WriteNumber("version", Version);
    }
}
