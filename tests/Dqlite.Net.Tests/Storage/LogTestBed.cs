using System.Buffers.Binary;
using Dqlite.Net.Storage;
using Dqlite.Raft;

namespace Dqlite.Net.Tests.Storage;

/// <summary>What the tests of the log share.</summary>
internal static class LogTestBed
{
    internal const string LogDirectory = "/data/log";

    internal static SimulatedFileSystem NewFileSystem(int seed = 1)
    {
        var fileSystem = new SimulatedFileSystem(new Random(seed));
        fileSystem.CreateDirectory("/data");
        fileSystem.SyncDirectory("/");
        return fileSystem;
    }

    /// <summary>Small segments, and salts that a seed decides.</summary>
    internal static SegmentedLogOptions Options(int seed = 1, long segmentBytes = 8192)
    {
        var random = new Random(seed);
        return new SegmentedLogOptions { SegmentSizeBytes = segmentBytes, NextSalt = () => (ulong)random.NextInt64() };
    }

    internal static SegmentedLog Open(SimulatedFileSystem fileSystem, long baseIndex = 0, long baseTerm = 0, SegmentedLogOptions? options = null) =>
        SegmentedLog.Open(fileSystem, LogDirectory, options ?? Options(), new LogIndex(baseIndex), new Term(baseTerm));

    internal static LogEntry Entry(long index, long term, int payloadBytes, EntryKind kind = EntryKind.Application)
    {
        var payload = new byte[payloadBytes];
        new Random(HashCode.Combine(index, term, payloadBytes)).NextBytes(payload);
        if (payloadBytes >= 16)
        {
            BinaryPrimitives.WriteInt64LittleEndian(payload, index);
            BinaryPrimitives.WriteInt64LittleEndian(payload.AsSpan(8), term);
        }

        return new LogEntry(new LogIndex(index), new Term(term), kind, payload);
    }

    internal static LogEntry[] Entries(long first, long last, long term, int payloadBytes) =>
        Enumerable.Range(0, (int)(last - first + 1)).Select(i => Entry(first + i, term, payloadBytes)).ToArray();

    internal static void AppendAndFlush(this SegmentedLog log, params LogEntry[] entries)
    {
        log.Append(entries);
        log.Flush();
    }

    internal static List<LogEntry> ReadAll(this SegmentedLog log)
    {
        var result = new List<LogEntry>();
        for (var next = log.FirstIndex; next <= log.LastIndex; next = result[^1].Index.Next)
        {
            result.AddRange(log.Read(next, log.LastIndex, 4096)!);
        }

        return result;
    }

    internal static string Describe(LogEntry entry) =>
        $"{entry.Index}/{entry.Term}/{entry.Kind}/{Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(entry.Payload.Span))[..16]}";

    internal static string[] Describe(IEnumerable<LogEntry> entries) => entries.Select(Describe).ToArray();
}
