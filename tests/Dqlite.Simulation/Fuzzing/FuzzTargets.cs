namespace Dqlite.Simulation.Fuzzing;

/// <summary>Everything that is fuzzed.</summary>
internal static class FuzzTargets
{
    /// <summary>All targets.</summary>
    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new FrameTarget(), new MessageTarget(), new HandshakeTarget(), new LogTarget(), new MetadataTarget(), new DatabaseMetaTarget(), new LogBaseTarget(),
        new ManifestTarget(), new SnapshotTarget(), new EntryTarget(), new ConfigurationTarget(), new DatabaseTarget(),
    ];

    /// <summary>The targets of a name; all of them for <c>all</c>.</summary>
    /// <exception cref="ArgumentException">There is none of that name.</exception>
    public static IReadOnlyList<FuzzTarget> Find(string name) =>
        name == "all" ? All
        : All.FirstOrDefault(target => target.Name == name) is { } found ? [found]
        : throw new ArgumentException($"There is no target {name}; known are all, {string.Join(", ", All.Select(target => target.Name))}.");
}
