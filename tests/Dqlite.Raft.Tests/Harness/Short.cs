using Dqlite.Raft;

namespace Dqlite.Raft.Tests.Harness;

/// <summary>Short names for ids, so that a test reads like the figure that it follows.</summary>
public static class Short
{
    public static Term T(long value) => new(value);

    public static LogIndex I(long value) => new(value);

    public static NodeId N(long value) => new(value);

    public static ClusterConfiguration Voters(int count) =>
        new(Enumerable.Range(1, count).Select(i => Simulation.Member(i, MemberRole.Voter)));

    public static LogEntry Entry(long index, long term, string text = "x") =>
        new(I(index), T(term), EntryKind.Application, System.Text.Encoding.UTF8.GetBytes(text));

    public static LogEntry Entry(long index, long term, ClusterConfiguration configuration) =>
        new(I(index), T(term), EntryKind.Configuration, ConfigurationCodec.Encode(configuration));
}
