using System.Data.Common;
using Dqlite.Load.Clusters;
using Dqlite.Load.Commands;
using Quickstart;

namespace Dqlite.Load;

/// <summary>Puts clusters and their baselines under load, side by side. See docs/PERFORMANCE.md.</summary>
internal static class Program
{
    private const string Usage = """
        Usage:
          load [--nodes 3] [--clients 1,4,16,64] [--seconds 5] [--workload insert|update|select|mixed|tpcb|blob] [--value-bytes 100] [--rows 10000]
               [--api dqlite|plain|dqlite,plain] [--level linearizable|session|local|bounded] [--on leader|followers|all]
               [--rounds 5] [--processes] [--json FILE] [--svg FILE] [--dir DIR]
              Every round measures every series: the cluster by both APIs, plain SQLite with and without flushes, and the floor.
              --value-bytes is 100000 by default for blob; --rows is how many there are to read and update. --processes: one process per node instead of all in this one.
              --level and --on are for select: how fresh its reads must be, and on which nodes the clients are, in turn. Plain connections know linearizable and local.
          load failover [--nodes 3] [--rounds 20] [--clients 4] [--how kill,silent,stop] [--dir DIR]
              Loses the leader: ends its process (kill -9), cuts it off without a sign while it goes on (silent), or halts it with its sockets open (stop, SIGSTOP);
              by default kill,silent. Time to the first write elsewhere. Fails when an acknowledged row is not there at the end.
          load restart [--megabytes 200,2048] [--dir DIR]
              A node that was killed with a large database: time to its first local read and to its first linearizable one.
          load catchup [--megabytes 200] [--dir DIR]
              A blank node joins, and one comes back that missed changes to 1 % of the pages: time until it has everything.
          load soak [--minutes 10] [--clients 16] [--every 10] [--json FILE] [--dir DIR]
              Inserts, updates and deletes on 3 nodes in this process; a line every so many seconds, and at the end what grew.
              Fails when there was an election.
          load budget [--commits 3000] [--dir DIR]
              Where the time of one commit goes, step by step: one client, 3 nodes in this process.
          load bigtx [--megabytes 500] [--rows 100000] [--rounds 3] [--dir DIR]
              Many rows, then many bytes, in one transaction: three processes beside plain SQLite with its checkpoint; peak memory of each node,
              the longest commit of a small transaction beside it, and elections.
        --dir is where the data goes (the current directory), into a new directory that is removed at the end. Not on tmpfs.
        Exit code: 0 measured, 1 something failed, 2 wrong arguments.
        """;

    private static async Task<int> Main(string[] args)
    {
        try
        {
            await RunAsync(args);
            return 0;
        }
        catch (ArgumentException exception) when (args.FirstOrDefault() != MemberCommand.Name)
        {
            Console.Error.WriteLine(exception.Message.ReplaceLineEndings(" ") + " --help shows the options.");
            return 2;
        }
        catch (Exception exception) when (exception is DbException or MemberException or IOException or UnauthorizedAccessException or TimeoutException)
        {
            Console.Error.WriteLine(exception.Message.ReplaceLineEndings(" "));
            return 1;
        }
    }

    private static Task RunAsync(string[] args) => args.FirstOrDefault() switch
    {
        MemberCommand.Name => MemberCommand.RunAsync(args[1..]),
        "failover" => FailoverCommand.Parse(Arguments.Parse(args[1..], "nodes", "rounds", "clients", "how", "dir")).RunAsync(),
        "restart" => RestartCommand.Parse(Arguments.Parse(args[1..], "megabytes", "dir")).RunAsync(),
        "catchup" => CatchupCommand.Parse(Arguments.Parse(args[1..], "megabytes", "dir")).RunAsync(),
        "soak" => SoakCommand.Parse(Arguments.Parse(args[1..], "minutes", "clients", "every", "json", "dir")).RunAsync(),
        "budget" => BudgetCommand.Parse(Arguments.Parse(args[1..], "commits", "dir")).RunAsync(),
        "bigtx" => BigTransactionCommand.Parse(Arguments.Parse(args[1..], "megabytes", "rows", "rounds", "dir")).RunAsync(),
        "help" or "--help" or "-h" => Console.Out.WriteLineAsync(Usage),
        _ => new LoadCommand(LoadOptions.Parse(args)).RunAsync(),
    };
}
