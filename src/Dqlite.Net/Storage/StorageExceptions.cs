using System.Globalization;
using Dqlite.Raft;

namespace Dqlite.Net.Storage;

/// <summary>A file holds other bytes than were made durable. The node must stop: going on could break a promise that was given.</summary>
/// <param name="path">The damaged file.</param>
/// <param name="problem">What is wrong with it, without a full stop.</param>
internal class StorageDamagedException(string path, string problem)
    : Exception($"'{path}' is damaged: {problem}. This node must not go on with it. Check the disk; then remove the node from the cluster, delete its data directory and join it again.")
{
    /// <summary>The damaged file.</summary>
    internal string Path { get; } = path;
}

/// <summary>The log holds other records than were made durable.</summary>
/// <param name="path">The segment, or the directory when a segment is missing.</param>
/// <param name="offset">Where in the file; 0 when it is about the whole file.</param>
/// <param name="index">The entry that is affected first.</param>
/// <param name="problem">What is wrong, without a full stop.</param>
internal sealed class LogDamagedException(string path, long offset, LogIndex index, string problem)
    : StorageDamagedException(path, string.Create(CultureInfo.InvariantCulture, $"at offset {offset}, index {index}: {problem}"))
{
    /// <summary>Where in the file.</summary>
    internal long Offset { get; } = offset;

    /// <summary>The entry that is affected first.</summary>
    internal LogIndex Index { get; } = index;
}

/// <summary>A write or flush failed before: nothing is known about the file any more, so every later call fails too.</summary>
/// <param name="path">The file or directory.</param>
/// <param name="cause">The first failure.</param>
internal sealed class StorageFailedException(string path, Exception cause)
    : Exception($"'{path}' failed and is not written again: {cause.Message} The node must stop.", cause);

/// <summary>The log cannot take these entries, since no further segment could be allocated. Nothing was written.</summary>
/// <param name="directory">The log's directory.</param>
/// <param name="cause">The failed allocation.</param>
internal sealed class LogFullException(string directory, Exception? cause)
    : Exception($"The log in '{directory}' cannot grow: {cause?.Message ?? "no segment could be allocated."} Free disk space.", cause);

/// <summary>Another node has the data directory.</summary>
/// <param name="directory">The directory.</param>
internal sealed class DirectoryInUseException(string directory)
    : Exception($"The data directory '{directory}' is in use by another node, in this process or in another one. Each node needs a directory of its own; stop the other node or configure another directory.");
