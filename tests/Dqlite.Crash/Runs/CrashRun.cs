using System.Globalization;
using Dqlite.Simulation.World;
using Quickstart;

namespace Dqlite.Crash.Runs;

/// <summary>One run of a command: its options, its chance, its directory and its score. Disposing removes the directory, unless it is to be kept.</summary>
internal sealed class CrashRun : IDisposable
{
    private readonly bool _isOwnDirectory;
    private readonly bool _keepsFailure;

    public CrashRun(Arguments options, CancellationToken stop)
    {
        Options = options;
        Stop = stop;
        Seed = options.Find("seed") is { } seed ? ulong.Parse(seed, NumberStyles.None, CultureInfo.InvariantCulture) : (uint)Random.Shared.Next();
        Chance = new SeededRandom(Seed);
        _isOwnDirectory = !options.Has("data");
        _keepsFailure = options.Has("keep");
        Data = Path.GetFullPath(options.Find("data") ?? Directory.CreateTempSubdirectory("dqlite-crash-").FullName);
        Directory.CreateDirectory(Data);
    }

    public Arguments Options { get; }

    /// <summary>Ends when the command is interrupted.</summary>
    public CancellationToken Stop { get; }

    public ulong Seed { get; }

    public SeededRandom Chance { get; }

    public string Data { get; }

    public Score Score { get; } = new();

    /// <summary>The number of rounds that were asked for.</summary>
    public int Rounds(int otherwise) => Options.Number("rounds", otherwise, 1, 1_000_000);

    /// <summary>A directory that did not exist before.</summary>
    public string NewDirectory(string name)
    {
        var path = Path.Combine(Data, name);
        return Path.Exists(path)
            ? throw new ArgumentException($"--data: '{path}' exists already; give an empty directory.")
            : Directory.CreateDirectory(path).FullName;
    }

    public void Dispose()
    {
        if (_keepsFailure && Score.Failed > 0)
        {
            Console.WriteLine($"kept: {Data}");
        }
        else if (_isOwnDirectory)
        {
            Directory.Delete(Data, recursive: true);
        }
    }
}
