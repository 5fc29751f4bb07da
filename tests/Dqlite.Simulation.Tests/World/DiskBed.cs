using Dqlite.Net.Storage;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Tests.World;

/// <summary>A machine with one file, and how to look at it.</summary>
internal sealed class DiskBed
{
    internal const DurableFileMode ReadWrite = DurableFileMode.Read | DurableFileMode.Write;
    internal const DurableFileMode ReadWriteCreate = ReadWrite | DurableFileMode.Create;
    internal const int SectorBytes = SimInode.SectorBytes;

    internal DiskBed(ulong seed = 1) => Machine = new Machine(1, new SeededRandom(seed));

    internal Machine Machine { get; }

    internal SimDisk Disk => Machine.Disk;

    internal string FilePath => PathOf("file");

    internal string PathOf(string name) => Disk.Root + "/" + name;

    /// <summary>A file whose content and name are durable.</summary>
    internal IDurableFile CreateDurable(byte[] content, string name = "file")
    {
        var file = Disk.Open(PathOf(name), ReadWriteCreate);
        file.Write(content, 0);
        file.Sync();
        Disk.SyncDirectory(Disk.Root);
        return file;
    }

    internal byte[] Content(string name = "file") => Disk.Content(PathOf(name))!;

    internal void CutPowerAndStart()
    {
        Machine.PowerOff();
        Machine.Start();
    }

    internal static byte[] Filled(int sectors, byte value)
    {
        var bytes = new byte[sectors * SectorBytes];
        Array.Fill(bytes, value);
        return bytes;
    }

    /// <summary>First byte of each sector.</summary>
    internal static byte[] SectorValues(byte[] content) => [.. Enumerable.Range(0, content.Length / SectorBytes).Select(i => content[i * SectorBytes])];
}
