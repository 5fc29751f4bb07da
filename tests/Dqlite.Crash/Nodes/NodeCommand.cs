using System.Globalization;
using Dqlite.Net;
using Dqlite.Simulation.World;
using Quickstart;

namespace Dqlite.Crash.Nodes;

/// <summary>A child: one node with its load, until the end of its standard input. It says "ready", "leader ID TERM", and "stopped REASON" when the node stops by itself.</summary>
internal static class NodeCommand
{
    public const string Name = "node";
    public const string ReadyWord = "ready";
    public const string LeaderWord = "leader ";
    public const string StoppedWord = "stopped ";
    private static readonly TimeSpan FailurePollInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>The command line of a node.</summary>
    public static IEnumerable<string> Words(string data, int number, IReadOnlyList<string> addresses, string work, string prefix, ulong seed) =>
    [
        Name, "--data", data, "--number", number.ToString(CultureInfo.InvariantCulture), "--members", string.Join(',', addresses),
        "--work", work, "--prefix", prefix, "--seed", seed.ToString(CultureInfo.InvariantCulture),
    ];

    public static async Task<int> RunAsync(string[] words, CancellationToken terminate)
    {
        var arguments = Arguments.Parse(words, "data", "number", "members", "work", "prefix", "seed");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(terminate);
        WatchInput(stop);
        try
        {
            await using var node = await DqliteNode.StartAsync(OptionsOf(arguments), stop.Token);
            node.LeaderChanged += (_, leader) => SayLeader(leader);
            ChildReport.Line(ReadyWord);
            SayLeader(node.Leader);
            await LoadAsync(node, arguments, stop);
            if (node.Failure is null)
            {
                return 0;
            }

            SayStopped(node.Failure);
        }
        catch (DqliteException exception)
        {
            SayStopped(exception);
        }

        return 1;
    }

    /// <summary>Limits so small that checkpoints and compaction go on all the time.</summary>
    private static DqliteNodeOptions OptionsOf(Arguments arguments)
    {
        var members = arguments.Get("members").Split(',');
        return new DqliteNodeOptions
        {
            DataDirectory = arguments.Get("data"),
            Address = members[arguments.Number("number", 0, 1, members.Length) - 1],
            Members = members,
            SegmentBytes = 1 << 20,
            CheckpointLogBytes = 1 << 20,
            RetainedLogBytes = 4 << 20,
        };
    }

    /// <summary>Runs the load until the node is to stop, or stops by itself.</summary>
    private static async Task LoadAsync(DqliteNode node, Arguments arguments, CancellationTokenSource stop)
    {
        var chance = new SeededRandom(ulong.Parse(arguments.Get("seed"), CultureInfo.InvariantCulture)).Stream(arguments.Get("prefix"));
        var load = arguments.Get("work") switch
        {
            RowWriters.Name => new RowWriters(node, arguments.Get("prefix"), chance).RunAsync(stop.Token),
            RegisterClients.Name => new RegisterClients(node, arguments.Number("number", 0, 1, 99), chance).RunAsync(stop.Token),
            var work => throw new ArgumentException($"--work {work} is not known."),
        };
        try
        {
            await await Task.WhenAny(load, FailureAsync(node, stop.Token));
            await stop.CancelAsync();
            await load;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // That is how it ends.
        }
    }

    private static async Task FailureAsync(DqliteNode node, CancellationToken stop)
    {
        while (node.Failure is null)
        {
            await Task.Delay(FailurePollInterval, stop);
        }
    }

    /// <summary>On a thread of its own: a read of standard input cannot be given up.</summary>
    private static void WatchInput(CancellationTokenSource stop)
    {
        void Read()
        {
            using var input = Console.OpenStandardInput();
            var buffer = new byte[1];
            while (input.Read(buffer) > 0)
            {
                // What comes in means nothing; only its end does.
            }

            try
            {
                stop.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // The node is on its way out already.
            }
        }

        new Thread(Read) { IsBackground = true, Name = "standard input" }.Start();
    }

    private static void SayLeader(DqliteLeader? leader)
    {
        if (leader is not null)
        {
            ChildReport.Line(string.Create(CultureInfo.InvariantCulture, $"{LeaderWord}{leader.Id} {leader.Term}"));
        }
    }

    private static void SayStopped(Exception cause) => ChildReport.Line(StoppedWord + cause.Message.ReplaceLineEndings(" "));
}
