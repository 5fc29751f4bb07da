using System.Diagnostics;
using System.Globalization;

namespace Dqlite.Net.Benchmarks;

/// <summary>
/// One node in a process of its own, for its memory: the leader fills a database of 200 MB and then updates rows all over it from 8 writers.
/// Every process prints the most that it held (VmRSS, sampled) while it was filled and under the load.
/// </summary>
internal static class MemberCommand
{
    public const string Name = "member";
    private const int Nodes = 3;
    private const long DatabaseBytes = 200L << 20;
    private const int Writers = 8;
    private static readonly TimeSpan LoadDuration = TimeSpan.FromSeconds(15);

    /// <summary>Measures it twice: as the runtime is, and with a bound of 4 MB on the youngest generation of the collector.</summary>
    public static async Task MeasureAsync(ScratchDirectory directory, Action<string, string, double[]> print)
    {
        await MeasureAsync(directory.Sub("memory"), "", null, print);
        await MeasureAsync(directory.Sub("memory-gen0"), ", Gen0MaxBudget 4 MB", "400000", print);
    }

    private static async Task MeasureAsync(string directory, string how, string? gen0MaxBudget, Action<string, string, double[]> print)
    {
        var addresses = LocalCluster.FreeAddresses(Nodes);
        var processes = Enumerable.Range(1, Nodes).Select(id => Start(id, directory, addresses, gen0MaxBudget)).ToArray();
        var lines = await Task.WhenAll(processes.Select(ReadAsync));
        foreach (var line in lines.OrderByDescending(words => words[0]))
        {
            print($"memory of the {line[0]} while 200 MB are filled in, peak{how}", "MB", [Number(line[1])]);
            print($"memory of the {line[0]} under write load, peak{how}", "MB", [Number(line[2])]);
            print($"memory of the {line[0]} under write load, at its end{how}", "MB", [Number(line[3])]);
            print($"managed heap of the {line[0]}, committed at the last collection{how}", "MB", [Number(line[4])]);
        }

        Array.ForEach(processes, process => process.Dispose());
    }

    public static async Task<int> RunAsync(List<string> words)
    {
        var (id, directory, members) = (int.Parse(words[0], CultureInfo.InvariantCulture), words[1], words[2].Split(','));
        await using var node = await DqliteNode.StartAsync(new DqliteNodeOptions { DataDirectory = Path.Combine(directory, words[0]), Address = members[id - 1], Members = members });
        var marks = new MarkFiles(directory);
        using var memory = new MemoryWatch();
        await node.WaitForLeaderAsync();
        while (!marks.IsFilled)
        {
            if (node.IsLeader)
            {
                await BigTable.FillAsync(await node.OpenDatabaseAsync(LocalCluster.DatabaseName), DatabaseBytes);
                marks.SetFilled();
            }

            await Task.Delay(50);
        }

        var filling = memory.TakePeak();
        if (node.IsLeader)
        {
            await BigTable.UpdateAsync(await node.OpenDatabaseAsync(LocalCluster.DatabaseName), DatabaseBytes, Writers, LoadDuration);
            marks.SetLoaded();
        }

        while (!marks.IsLoaded)
        {
            await Task.Delay(50);
        }

        var atEnd = MemoryWatch.Now();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{(node.IsLeader ? "leader" : "follower")} {filling:0.0} {memory.TakePeak():0.0} {atEnd:0.0} {GC.GetGCMemoryInfo().TotalCommittedBytes / 1e6:0.0}"));
        return 0;
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    private static Process Start(int id, string directory, string[] addresses, string? gen0MaxBudget)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(typeof(MemberCommand).Assembly.Location);
        }

        foreach (var word in new[] { Name, id.ToString(CultureInfo.InvariantCulture), directory, string.Join(',', addresses) })
        {
            start.ArgumentList.Add(word);
        }

        if (gen0MaxBudget is not null)
        {
            // What "System.GC.Gen0MaxBudget" in an application's runtimeconfig.json sets; hexadecimal.
            start.Environment["DOTNET_GCGen0MaxBudget"] = gen0MaxBudget;
        }

        return Process.Start(start)!;
    }

    private static async Task<string[]> ReadAsync(Process process)
    {
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        var words = output.Trim().Split(' ');
        return words.Length == 5 ? words : throw new InvalidOperationException($"A node's process ended with '{output.Trim()}'.");
    }

    /// <summary>How the processes tell each other how far they are.</summary>
    private sealed class MarkFiles(string directory)
    {
        private readonly string _filled = Path.Combine(directory, "filled");
        private readonly string _loaded = Path.Combine(directory, "loaded");

        public bool IsFilled => File.Exists(_filled);

        public bool IsLoaded => File.Exists(_loaded);

        public void SetFilled() => File.WriteAllText(_filled, "");

        public void SetLoaded() => File.WriteAllText(_loaded, "");
    }

    /// <summary>The most resident memory that this process held since the last look.</summary>
    private sealed class MemoryWatch : IDisposable
    {
        private readonly Timer _timer;
        private double _peak;

        public MemoryWatch() => _timer = new Timer(_ => Look(), null, 0, 50);

        public static double Now() => Environment.WorkingSet / 1e6;

        public double TakePeak()
        {
            Look();
            return Interlocked.Exchange(ref _peak, 0);
        }

        public void Dispose() => _timer.Dispose();

        private void Look() => Interlocked.Exchange(ref _peak, Math.Max(Volatile.Read(ref _peak), Now()));
    }
}
