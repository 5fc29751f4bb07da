using System.Runtime.InteropServices;
using Dqlite.Net;

namespace Quickstart;

/// <summary>One node in this process, until SIGTERM or the end of standard input.</summary>
internal static class NodeCommand
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        var members = arguments.Get("members").Split(',');
        var id = arguments.Number("id", 0, 1, 99);
        var address = arguments.Get("address");
        if (id < 1 || id > members.Length || members[id - 1] != address)
        {
            throw new ArgumentException($"--id {id} and --address {address} do not fit: the address must be number {id} of --members.");
        }

        var ledger = arguments.Has("write") ? arguments.Get("ledger") : null;
        using var stop = new CancellationTokenSource();
        using var terminate = StopOn(PosixSignal.SIGTERM, stop);
        using var interrupt = StopOn(PosixSignal.SIGINT, stop);
        await using var node = await DqliteNode.StartAsync(new DqliteNodeOptions
        {
            DataDirectory = arguments.Get("data"),
            Address = address,
            Members = members,
            LoggerFactory = arguments.Has("log") ? new ConsoleLog() : null,
        });
        new LeaderPrinter(node).Start();
        WatchInput(stop);
        var writing = ledger is null ? Task.Delay(Timeout.Infinite, stop.Token) : new LedgerWriter(node, id, ledger).RunAsync(stop.Token);
        await Task.WhenAny(writing, FailureAsync(node, stop.Token));
        await stop.CancelAsync();
        try
        {
            await writing;
        }
        catch (OperationCanceledException)
        {
            // That is how it ends.
        }

        if (node.Failure is { } failure)
        {
            Console.Error.WriteLine(failure.Message.ReplaceLineEndings(" "));
            return 1;
        }

        return 0;
    }

    private static PosixSignalRegistration StopOn(PosixSignal signal, CancellationTokenSource stop) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        stop.Cancel();
    });

    /// <summary>On a thread of its own: a read of standard input cannot be given up.</summary>
    private static void WatchInput(CancellationTokenSource stop)
    {
        void Read()
        {
            using var input = Console.OpenStandardInput();
            var buffer = new byte[256];
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

    private static async Task FailureAsync(DqliteNode node, CancellationToken cancellationToken)
    {
        while (node.Failure is null)
        {
            await Task.Delay(100, cancellationToken);
        }
    }

    /// <summary>Prints "ready", and the leader whenever it is another one than before.</summary>
    private sealed class LeaderPrinter(DqliteNode node)
    {
        private readonly Lock _lock = new();
        private DqliteLeader? _last;

        public void Start()
        {
            lock (_lock)
            {
                node.LeaderChanged += (_, leader) => Show(leader);
                Say("ready");
                Show(node.Leader);
            }
        }

        private void Show(DqliteLeader? leader)
        {
            lock (_lock)
            {
                // What was announced before the first look may come once more, late: an older term is no news.
                if (leader is null || leader.Term < (_last?.Term ?? 0))
                {
                    return;
                }

                if (leader.Id != _last?.Id)
                {
                    Say($"leader: {leader.Id}");
                }

                _last = leader;
            }
        }

        private static void Say(string line)
        {
            Console.Out.WriteLine(line);
            Console.Out.Flush();
        }
    }
}
