using System.Runtime.InteropServices;
using Dqlite.Crash.Calls;
using Dqlite.Crash.Nodes;
using Dqlite.Crash.Runs;
using Quickstart;

namespace Dqlite.Crash;

/// <summary>The command line: the commands of <see cref="CrashCommands"/>, 'all', and what this program is started as by itself.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] args)
    {
        using var stop = new CancellationTokenSource();
        using var interrupt = StopOn(PosixSignal.SIGINT, stop);
        using var terminate = StopOn(PosixSignal.SIGTERM, stop);
        try
        {
            return args.FirstOrDefault() switch
            {
                NodeCommand.Name => await NodeCommand.RunAsync(args[1..], stop.Token),
                ScenarioCommand.Name => await ScenarioCommand.RunAsync(args[1..]),
                RecoverCommand.Name => await RecoverCommand.RunAsync(args[1..]),
                CrashCommands.AllName => await CrashCommands.RunAllAsync(Arguments.Parse(args[1..], "short!").Has("short"), stop.Token),
                { } name when CrashCommands.Find(name) is { } command => await CrashCommands.RunAsync(command, args[1..], stop.Token),
                _ => throw new ArgumentException("Give one of these commands:\n" + CrashCommands.Usage),
            };
        }
        catch (ArgumentException exception)
        {
            Console.Error.WriteLine(exception.Message);
            return 2;
        }
    }

    private static PosixSignalRegistration StopOn(PosixSignal signal, CancellationTokenSource stop) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        stop.Cancel();
    });
}
