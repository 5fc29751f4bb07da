using System.Text;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>A file of an input.</summary>
internal readonly record struct FuzzFile(string Name, byte[] Content);

/// <summary>A simulated disk that holds the files of an input.</summary>
internal static class FuzzDisk
{
    private const DurableFileMode WriteNew = DurableFileMode.Read | DurableFileMode.Write | DurableFileMode.Create;

    /// <summary>An empty disk.</summary>
    public static SimDisk Create() => new Machine(1, new SeededRandom(1)).Disk;

    /// <summary>Puts files into a directory.</summary>
    public static void Write(SimDisk disk, string directory, IEnumerable<FuzzFile> files)
    {
        disk.CreateDirectory(directory);
        foreach (var (name, content) in files)
        {
            using var file = disk.OpenFile(Path.Combine(directory, name), WriteNew);
            file.Write(content.AsSpan().TrimEnd((byte)0), 0);
            file.Truncate(content.Length);
        }
    }

    /// <summary>The files of a directory.</summary>
    public static List<FuzzFile> Read(SimDisk disk, string directory) =>
        [.. disk.ListFiles(directory).Select(name => new FuzzFile(name, disk.Content(Path.Combine(directory, name))!))];

    /// <summary>Names and contents in turn, for <see cref="Blobs"/>.</summary>
    public static IEnumerable<byte[]> Encode(IEnumerable<FuzzFile> files) => files.SelectMany(file => new[] { Encoding.UTF8.GetBytes(file.Name), file.Content });

    /// <summary>The opposite of <see cref="Encode"/>.</summary>
    public static List<FuzzFile> Decode(ReadOnlySpan<byte[]> parts)
    {
        var files = new List<FuzzFile>();
        for (var i = 0; i + 1 < parts.Length; i += 2)
        {
            files.Add(new FuzzFile(Encoding.UTF8.GetString(parts[i]), parts[i + 1]));
        }

        return files;
    }
}
