namespace Quickstart;

/// <summary>Three nodes, a few writers, a leader that dies in the middle: what a user would try first.</summary>
internal static class Program
{
    private const string Usage = """
        Usage:
          quickstart [--rows N] [--writers N] [--nodes N] [--kill none|leader|follower] [--data DIR] [--import FILE.db] [--log]
          quickstart node --id N --address HOST:PORT --members HOST:PORT,... --data DIR [--write --ledger FILE] [--log]
          quickstart verify --data DIR1,DIR2,... --ledger FILE1,FILE2,...
        """;

    private static async Task<int> Main(string[] args)
    {
        try
        {
            return args.FirstOrDefault() switch
            {
                "node" => await NodeCommand.RunAsync(Arguments.Parse(args[1..], "id", "address", "members", "data", "write!", "ledger", "log!")),
                "verify" => await VerifyCommand.RunAsync(Arguments.Parse(args[1..], "data", "ledger")),
                _ => await ClusterCommand.RunAsync(Arguments.Parse(args, "rows", "writers", "nodes", "kill", "data", "import", "log!")),
            };
        }
        catch (ArgumentException exception)
        {
            Console.Error.WriteLine(exception.Message);
            Console.Error.WriteLine(Usage);
            return 2;
        }
    }
}
