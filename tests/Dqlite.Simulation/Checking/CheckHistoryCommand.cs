using System.Globalization;

namespace Dqlite.Simulation.Checking;

/// <summary>The command <c>check-history FILE [--balances 100,100,...]</c>: reads a history and judges it.</summary>
internal static class CheckHistoryCommand
{
    private const int InvalidExit = 1;
    private const int MisuseExit = 2;
    private const int UnknownExit = 3;

    /// <summary>Prints what each checker found, then <c>valid</c>, <c>invalid</c> or <c>unknown</c>. Exit code 0, 1 or 3; 2 when the file cannot be read.</summary>
    public static int Run(IReadOnlyList<string> arguments) => Run(arguments, Console.Out, Console.Error);

    /// <summary>The same, with other places to print to.</summary>
    public static int Run(IReadOnlyList<string> arguments, TextWriter output, TextWriter errors)
    {
        if (arguments.Count is not (1 or 3) || (arguments.Count == 3 && arguments[1] != "--balances"))
        {
            errors.WriteLine("Usage: check-history FILE [--balances N,N,...]");
            return MisuseExit;
        }

        try
        {
            using var text = new StreamReader(arguments[0]);
            var balances = arguments.Count == 3 ? ParseBalances(arguments[2]) : null;
            return Judge(HistoryReader.Read(text), balances, output);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or FormatException or OverflowException)
        {
            errors.WriteLine(failure.Message);
            return MisuseExit;
        }
    }

    private static long[] ParseBalances(string text) => Array.ConvertAll(text.Split(','), item => long.Parse(item, CultureInfo.InvariantCulture));

    private static int Judge(History history, long[]? balances, TextWriter output)
    {
        var results = HistoryChecker.Check(history, bank: new BankOptions(balances));
        foreach (var result in results)
        {
            output.WriteLine(result);
        }

        var verdict = CheckResult.Worst(results).Verdict;
        output.WriteLine(verdict.ToString().ToLowerInvariant());
        return verdict switch
        {
            Verdict.Valid => 0,
            Verdict.Invalid => InvalidExit,
            Verdict.Unknown => UnknownExit,
        };
    }
}
