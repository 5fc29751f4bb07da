using Dqlite.Net;

namespace Quickstart;

/// <summary>Three nodes, a few writers, a leader that dies in the middle: what a user would try first.</summary>
internal static class Program
{
    private const string Usage = """
        Usage:
          quickstart [--rows N] [--writers N] [--nodes N] [--kill none|leader|follower] [--data DIR] [--import FILE.db] [--log]
              Starts N nodes (3) in this process, writes N rows (20000) from N writers (8), kills a node in the middle
              (leader; none with fewer than 3 nodes), and compares all nodes at the end.
              --data DIR keeps the nodes' directories. A second run there adds its rows to those of the first: the line
              of a node then counts all of them, 'acknowledged' only the new ones.
              'first write after the kill' is the time from the kill to the first write that another node acknowledged,
              or 'none' with --kill none. 'before' and 'after' are the two halves then.
              --log writes the nodes' log to standard error.
          quickstart node --id N --address HOST:PORT --members HOST:PORT,... --data DIR [--write --ledger FILE] [--log]
              Runs node N alone until SIGTERM or the end of standard input.
          quickstart verify --data DIR1,DIR2,... --ledger FILE1,FILE2,... [--log]
              Starts the stopped (or killed) nodes of those directories here, and looks up every acknowledged row.
        Exit code: 0 nothing acknowledged was lost and all nodes are identical, 1 not so, 2 wrong arguments.
        """;

    private static async Task<int> Main(string[] args)
    {
        var isNode = args.FirstOrDefault() == "node";
        try
        {
            return args.FirstOrDefault() switch
            {
                "node" => await NodeCommand.RunAsync(Arguments.Parse(args[1..], "id", "address", "members", "data", "write!", "ledger", "log!")),
                "verify" => await VerifyCommand.RunAsync(Arguments.Parse(args[1..], "data", "ledger", "log!")),
                "help" or "--help" or "-h" => Help(),
                _ => await ClusterCommand.RunAsync(Arguments.Parse(args, "rows", "writers", "nodes", "kill", "data", "import", "log!")),
            };
        }
        catch (ArgumentException exception)
        {
            Console.Error.WriteLine(exception.Message.ReplaceLineEndings(" ") + " --help shows the options.");
            return 2;
        }
        catch (Exception exception) when (exception is DqliteException or IOException or InvalidDataException or UnauthorizedAccessException or TimeoutException)
        {
            var line = exception.Message.ReplaceLineEndings(" ");
            if (isNode)
            {
                Console.Error.WriteLine(line);
            }
            else
            {
                Console.WriteLine($"result: FAILED, {line}");
            }

            return 1;
        }
    }

    private static int Help()
    {
        Console.WriteLine(Usage);
        return 0;
    }
}
