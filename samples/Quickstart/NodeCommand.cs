using System.Globalization;
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
        if (id > members.Length || members[id - 1] != address)
        {
            throw new ArgumentException($"--id {id} and --address {address} do not fit: the address must be number {id} of --members.");
        }

        using var stop = new CancellationTokenSource();
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            stop.Cancel();
        });
        try
        {
            await using var node = await DqliteNode.StartAsync(new DqliteNodeOptions { DataDirectory = arguments.Get("data"), Address = address, Members = members, LoggerFactory = arguments.Has("log") ? new ConsoleLog() : null });
            var lastLeader = 0L;
            node.LeaderChanged += (_, leader) =>
            {
                if (leader is not null && leader.Id != lastLeader)
                {
                    lastLeader = leader.Id;
                    Say($"leader: {leader.Id}");
                }
            };
            Say("ready");
            if (node.Leader is { } known && lastLeader == 0)
            {
                lastLeader = known.Id;
                Say($"leader: {known.Id}");
            }

            var writing = arguments.Has("write") ? new LedgerWriter(node, id, arguments.Get("ledger")).RunAsync(stop.Token) : Task.CompletedTask;
            await Task.WhenAny(EndOfInputAsync(), UntilAsync(stop.Token), FailureAsync(node, stop.Token));
            await stop.CancelAsync();
            await writing;
            return node.Failure is null ? 0 : 1;
        }
        catch (DqliteException exception)
        {
            Console.Error.WriteLine(exception.Message);
            return 1;
        }
    }

    private static void Say(string line)
    {
        Console.Out.WriteLine(line);
        Console.Out.Flush();
    }

    private static async Task EndOfInputAsync()
    {
        using var input = Console.OpenStandardInput();
        var buffer = new byte[256];
        while (await input.ReadAsync(buffer) > 0)
        {
            // What comes in means nothing; only its end does.
        }
    }

    private static async Task UntilAsync(CancellationToken cancellationToken) =>
        await Task.Delay(Timeout.Infinite, cancellationToken).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);

    private static async Task FailureAsync(DqliteNode node, CancellationToken cancellationToken)
    {
        while (node.Failure is null && !cancellationToken.IsCancellationRequested)
        {
            await Task.Delay(100, CancellationToken.None);
        }

        if (node.Failure is { } failure)
        {
            Console.Error.WriteLine(failure.Message);
        }
    }
}

/// <summary>Writes from eight writers while its node leads, and keeps a ledger of what was acknowledged.</summary>
internal sealed class LedgerWriter(DqliteNode node, int id, string ledgerPath)
{
    private const int Writers = 8;
    private long _sequence;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await using var ledger = new FileStream(ledgerPath, FileMode.Append, FileAccess.Write, FileShare.Read, 1);
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                if (!node.IsLeader)
                {
                    await Task.Delay(5, cancellationToken);
                    continue;
                }

                var source = await node.OpenDatabaseAsync(Facts.Database, null, cancellationToken);
                await PrepareAsync(source, cancellationToken);
                await Task.WhenAll(Enumerable.Range(0, Writers).Select(_ => WriteAsync(source, ledger, cancellationToken)));
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (DqliteException exception) when (exception.IsTransient || node.Failure is not null)
            {
                // Somebody else leads now, or nobody: look again. A failed node ends the process elsewhere.
                await Task.Delay(5, CancellationToken.None);
            }
        }
    }

    /// <summary>The sequence goes on after the highest tag that is stored.</summary>
    private async Task PrepareAsync(DqliteDataSource source, CancellationToken cancellationToken)
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using var command = connection.CreateCommand();
        command.CommandText = "CREATE TABLE IF NOT EXISTS rows(tag TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";
        await command.ExecuteNonQueryAsync(cancellationToken);
        command.CommandText = "SELECT coalesce(max(CAST(substr(tag, length($prefix) + 1) AS INTEGER)), 0) FROM rows WHERE substr(tag, 1, length($prefix)) = $prefix";
        command.Parameters.AddWithValue("$prefix", string.Create(CultureInfo.InvariantCulture, $"{id}-"));
        var stored = Convert.ToInt64(await command.ExecuteScalarAsync(cancellationToken), CultureInfo.InvariantCulture);
        _sequence = Math.Max(_sequence, stored);
    }

    private async Task WriteAsync(DqliteDataSource source, FileStream ledger, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested && node.IsLeader)
        {
            var tag = string.Create(CultureInfo.InvariantCulture, $"{id}-{Interlocked.Increment(ref _sequence)}");
            try
            {
                await using var connection = await source.OpenConnectionAsync(cancellationToken);
                await using var command = connection.CreateCommand();
                command.CommandText = "INSERT INTO rows(tag, value) VALUES ($tag, $value)";
                command.Parameters.AddWithValue("$tag", tag);
                command.Parameters.AddWithValue("$value", "the value of row " + tag);
                await command.ExecuteNonQueryAsync(CancellationToken.None);
            }
            catch (DqliteUnknownOutcomeException)
            {
                // It may or may not be there: it is not in the ledger, and its tag is not used again.
                continue;
            }

            var line = System.Text.Encoding.ASCII.GetBytes(tag + "\n");
            lock (ledger)
            {
                ledger.Write(line);
                ledger.Flush();
            }
        }
    }
}
