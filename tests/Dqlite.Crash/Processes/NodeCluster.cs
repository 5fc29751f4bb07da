using System.Diagnostics;
using System.Globalization;
using Dqlite.Crash.Histories;
using Dqlite.Crash.Ledgers;
using Dqlite.Crash.Nodes;
using Dqlite.Crash.Runs;

namespace Dqlite.Crash.Processes;

/// <summary>The processes of one cluster, numbered from 1, and all that they say. Disposing kills them.</summary>
internal sealed class NodeCluster : IDisposable
{
    private const int WritesOfALeaderAtWork = 20;
    private static readonly TimeSpan EndPatience = TimeSpan.FromSeconds(30);
    private readonly Watch _watch = new();
    private readonly CrashRun _run;
    private readonly string _directory;
    private readonly string _work;
    private readonly string[] _addresses;
    private readonly NodeProcess?[] _processes;
    private readonly int[] _starts;

    /// <summary>Prepares a cluster; nothing runs yet.</summary>
    /// <param name="run">Its seed is that of the load.</param>
    /// <param name="directory">Node N gets the directory N in it.</param>
    /// <param name="count">How many nodes.</param>
    /// <param name="work">The load: the name of what runs in each process.</param>
    public NodeCluster(CrashRun run, string directory, int count, string work)
    {
        (_run, _directory, _work) = (run, directory, work);
        _addresses = Loopback.Reserve(count);
        _processes = new NodeProcess?[count];
        _starts = new int[count];
    }

    /// <summary>How long the cluster may need to take writes again.</summary>
    public static TimeSpan Patience { get; } = TimeSpan.FromSeconds(30);

    public Ledger Ledger { get; } = new();

    public RegisterHistory History { get; } = new();

    public int Count => _processes.Length;

    public IEnumerable<int> Numbers => Enumerable.Range(1, Count);

    public NodeProcess this[int number] => _processes[number - 1] ?? throw new InvalidOperationException($"node {number} does not run");

    public string DataOf(int number) => Path.Combine(_directory, number.ToString(CultureInfo.InvariantCulture));

    /// <summary>Starts (again) a node. Its rows get tags NODE-START-SEQUENCE.</summary>
    public void Start(int number)
    {
        var prefix = string.Create(CultureInfo.InvariantCulture, $"{number}-{++_starts[number - 1]}-");
        _processes[number - 1] = new NodeProcess(NodeCommand.Words(DataOf(number), number, _addresses, _work, prefix, _run.Seed), Ledger, History, _watch);
    }

    public void StartAll()
    {
        foreach (var number in Numbers)
        {
            Start(number);
        }
    }

    /// <summary>Waits until all agree on a leader and it has acknowledged some more writes.</summary>
    public async Task<int> WaitForWritesAsync()
    {
        var leader = 0;
        var before = 0L;
        await UntilAsync("all nodes agree on a leader that takes writes", () =>
        {
            var leaders = Running.Select(process => process.Leader).Distinct().ToArray();
            var agreed = leaders.Length == 1 ? leaders[0] : 0;
            if (agreed != leader)
            {
                (leader, before) = (agreed, AcknowledgedBy(agreed));
            }

            return leader != 0 && AcknowledgedBy(leader) >= before + WritesOfALeaderAtWork;
        });
        return leader;
    }

    /// <summary>Does something to one or more nodes and waits for the first write that another one acknowledges after it.</summary>
    /// <param name="victims">Their acknowledgements do not count.</param>
    /// <param name="harm">What is done.</param>
    /// <param name="giveUp">Ends the wait.</param>
    /// <returns>The time from before the harm to the acknowledgement.</returns>
    public async Task<TimeSpan> MeasureGapAsync(int[] victims, Action harm, CancellationToken giveUp = default)
    {
        var others = Numbers.Except(victims).Select(number => (Process: this[number], Before: this[number].Acknowledged)).ToArray();
        var began = Stopwatch.GetTimestamp();
        harm();
        var seen = await UntilAsync("another node takes writes", () => others.Any(other => other.Process.Acknowledged > other.Before), giveUp);
        return Stopwatch.GetElapsedTime(began, seen);
    }

    /// <summary>SIGKILLs nodes, one signal right after the other, and forgets them once all that they said is known.</summary>
    public async Task KillAsync(params int[] numbers)
    {
        Array.ForEach(numbers, number => this[number].Kill());
        await EndedAsync(numbers);
    }

    /// <summary>Waits for the end of nodes that were killed, or end by themselves, and forgets them.</summary>
    public async Task EndedAsync(params int[] numbers)
    {
        foreach (var number in numbers)
        {
            await this[number].EndAsync(EndPatience, _run.Stop);
            this[number].Dispose();
            _processes[number - 1] = null;
        }
    }

    /// <summary>From now on nodes may stop by themselves.</summary>
    public void AllowToEnd()
    {
        foreach (var process in Running)
        {
            process.AllowToEnd();
        }
    }

    /// <summary>Starts the nodes again that stopped by themselves.</summary>
    /// <returns>Which, and why.</returns>
    public async Task<IReadOnlyList<string>> RestartStoppedAsync()
    {
        var stopped = new List<string>();
        foreach (var number in Numbers)
        {
            if (this[number].StoppedBecause is { } reason)
            {
                stopped.Add($"node {number} stopped: {reason}");
                await EndedAsync(number);
                Start(number);
            }
        }

        return stopped;
    }

    /// <summary>Stops all nodes politely.</summary>
    /// <returns>What went wrong.</returns>
    public async Task<IReadOnlyList<string>> StopAllAsync()
    {
        var problems = new List<string>();
        foreach (var process in Running)
        {
            process.EndInput();
        }

        foreach (var number in Numbers)
        {
            if (await this[number].EndAsync(EndPatience, _run.Stop) is var code && code != 0)
            {
                problems.Add($"node {number} ended with code {code}: {this[number].StoppedBecause}");
            }

            await EndedAsync(number);
        }

        return problems;
    }

    /// <summary>Waits for something that the processes say.</summary>
    /// <returns>The timestamp when it was seen.</returns>
    /// <exception cref="InvalidOperationException">A process ended that nobody ended.</exception>
    public async Task<long> UntilAsync(string what, Func<bool> condition, CancellationToken giveUp = default)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(_run.Stop, giveUp);
        string? Accident() => Numbers.Select(number => (number, _processes[number - 1]?.Accident))
            .Where(node => node.Accident is not null).Select(node => $"node {node.number}: {node.Accident}").FirstOrDefault();

        var seen = await _watch.UntilAsync(() => condition() || Accident() is not null, Patience, what, stop.Token);
        return Accident() is { } accident ? throw new InvalidOperationException($"while waiting that {what}: {accident}") : seen;
    }

    public void Dispose()
    {
        foreach (var process in Running)
        {
            process.Dispose();
        }
    }

    private long AcknowledgedBy(int number) => number == 0 ? 0 : _processes[number - 1]?.Acknowledged ?? 0;

    private IEnumerable<NodeProcess> Running => _processes.OfType<NodeProcess>();
}
