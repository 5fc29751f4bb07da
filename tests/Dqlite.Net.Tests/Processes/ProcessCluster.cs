using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Dqlite.Net.Tests.Processes;

/// <summary>Three nodes, each in its own process, that write while they lead and note down what was acknowledged.</summary>
internal sealed class ProcessCluster : IDisposable
{
    public const int Nodes = 3;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _directory = Directory.CreateTempSubdirectory("dqlite-processes-").FullName;
    private readonly string[] _addresses = FreeAddresses();
    private readonly QuickstartProcess?[] _processes = new QuickstartProcess?[Nodes];

    public void Start(int node) => _processes[node - 1] = QuickstartProcess.Start(
        "node", "--id", Text(node), "--address", _addresses[node - 1], "--members", string.Join(',', _addresses),
        "--data", DataOf(node), "--write", "--ledger", LedgerOf(node));

    public void StartAll()
    {
        for (var node = 1; node <= Nodes; node++)
        {
            Start(node);
        }
    }

    public QuickstartProcess ProcessOf(int node) => _processes[node - 1] ?? throw new InvalidOperationException($"Node {node} does not run.");

    /// <summary>Sends SIGKILL; the node can be started again at once.</summary>
    public async Task KillAsync(int node)
    {
        var process = ProcessOf(node);
        process.Kill();
        await process.EndAsync();
        Forget(node);
    }

    public void Forget(int node)
    {
        ProcessOf(node).Dispose();
        _processes[node - 1] = null;
    }

    /// <summary>The leader that all running nodes agree on, or 0.</summary>
    public int AgreedLeader()
    {
        var leaders = _processes.OfType<QuickstartProcess>().Select(LeaderOf).Distinct().ToArray();
        return leaders.Length == 1 ? leaders[0] : 0;
    }

    /// <summary>Waits until all running nodes agree on a leader and it has had some more writes acknowledged.</summary>
    public async Task<int> WaitForWritesAsync()
    {
        var leader = 0;
        var before = 0L;
        await UntilAsync("a leader takes writes", () =>
        {
            var now = AgreedLeader();
            if (now != leader)
            {
                (leader, before) = (now, now == 0 ? 0 : LedgerBytes(now));
            }

            return leader != 0 && LedgerBytes(leader) > before + 500;
        });
        return leader;
    }

    /// <summary>Kills a node and returns the time until another one notes down an acknowledged write.</summary>
    public async Task<TimeSpan> MeasureKillAsync(int victim)
    {
        var before = Enumerable.Range(1, Nodes).ToDictionary(node => node, LedgerBytes);
        var process = ProcessOf(victim);
        var began = Stopwatch.GetTimestamp();
        process.Kill();
        await UntilAsync("another node takes writes", () => before.Any(node => node.Key != victim && LedgerBytes(node.Key) > node.Value));
        var gap = Stopwatch.GetElapsedTime(began);
        await process.EndAsync();
        Forget(victim);
        return gap;
    }

    public async Task<VerifyFacts> VerifyAsync()
    {
        using var verify = await QuickstartProcess.RunAsync(
            "verify", "--data", string.Join(',', Enumerable.Range(1, Nodes).Select(DataOf)), "--ledger", string.Join(',', Enumerable.Range(1, Nodes).Select(LedgerOf)));
        var lines = verify.Output;
        TestContext.Out.WriteLine(string.Join('\n', lines.Concat(verify.Errors)));
        return new VerifyFacts(
            verify.ExitCode,
            ValueOf(lines, "lost: "),
            ValueOf(lines, "duplicated: "),
            ValueOf(lines, "acknowledged: "),
            lines.Where(line => line.StartsWith("node ", StringComparison.Ordinal)).Select(line => line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..]).Distinct().Count());
    }

    public async Task UntilAsync(string what, Func<bool> condition)
    {
        var began = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(began) > Patience)
            {
                Assert.Fail($"It did not happen in {Patience.TotalSeconds:0} s that {what}.\n{Describe()}");
            }

            await Task.Delay(1);
        }
    }

    public void Dispose()
    {
        foreach (var process in _processes)
        {
            process?.Dispose();
        }

        Directory.Delete(_directory, recursive: true);
    }

    private string Describe() => string.Join('\n', _processes.Select((process, i) => process is null
        ? $"node {i + 1} does not run"
        : $"node {i + 1}: {string.Join("; ", process.Output)} | {string.Join("; ", process.Errors)}"));

    private static int LeaderOf(QuickstartProcess process) => process.Output
        .Where(line => line.StartsWith("leader: ", StringComparison.Ordinal))
        .Select(line => int.Parse(line["leader: ".Length..], CultureInfo.InvariantCulture))
        .LastOrDefault();

    private static long ValueOf(string[] lines, string prefix) =>
        lines.FirstOrDefault(line => line.StartsWith(prefix, StringComparison.Ordinal)) is { } line ? long.Parse(line[prefix.Length..], CultureInfo.InvariantCulture) : -1;

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static string[] FreeAddresses()
    {
        var listeners = Enumerable.Range(0, Nodes).Select(_ => new TcpListener(IPAddress.Loopback, 0)).ToArray();
        Array.ForEach(listeners, listener => listener.Start());
        var addresses = listeners.Select(listener => listener.LocalEndpoint.ToString()!).ToArray();
        Array.ForEach(listeners, listener => listener.Stop());
        return addresses;
    }

    private string DataOf(int node) => Path.Combine(_directory, Text(node));

    private string LedgerOf(int node) => Path.Combine(_directory, $"{node}.ledger");

    private long LedgerBytes(int node)
    {
        var file = new FileInfo(LedgerOf(node));
        return file.Exists ? file.Length : 0;
    }
}

/// <summary>What verify printed; -1 for a line that is missing.</summary>
internal sealed record VerifyFacts(int ExitCode, long Lost, long Duplicated, long Acknowledged, int DifferentNodes);
