using Dqlite.Crash.Calls;
using Dqlite.Crash.Disks;
using Dqlite.Net;
using Quickstart;

namespace Dqlite.Crash.Runs;

/// <summary>The list of commands, and what is the same for all of them.</summary>
internal static class CrashCommands
{
    public const string AllName = "all";
    private static readonly string[] CommonOptions = ["rounds", "seed", "data", "keep!"];

    private static readonly CrashCommand[] Commands =
    [
        new("kill", ["nodes"], "SIGKILLs the leader's process under load, round by round", KillCommand.RunAsync,
            ["--nodes 3 --rounds 5", "--nodes 5 --rounds 1"], ["--nodes 3 --rounds 200", "--nodes 5 --rounds 50"]),
        new("cluster", ["nodes"], "SIGKILLs all processes at once", ClusterCommand.RunAsync, ["--rounds 1"], ["--rounds 20"]),
        new("pause", [], "stops the leader's process for a while; reads and writes stay linearizable", PauseCommand.RunAsync, ["--rounds 2"], ["--rounds 50"]),
        new("syscalls", WalkCommand.Options, "kills a process at every storage system call", WalkCommand.KillAsync, ["--every 151"], ["--every 1"]),
        new("errors", WalkCommand.Options, "fails every storage system call once", WalkCommand.FailAsync, ["--every 151"], ["--every 1"]),
        new("power", ["nodes"], "cuts the power of a file system under load", PowerCommand.RunAsync, ["--nodes 1 --rounds 1", "--nodes 3 --rounds 1"], ["--nodes 1 --rounds 20", "--nodes 3 --rounds 20"]),
        new("fulldisk", ["nodes"], "fills the disk under load, and makes room again", FullDiskCommand.RunAsync, ["--rounds 1"], ["--nodes 1 --rounds 9", "--nodes 3 --rounds 9"]),
    ];

    /// <summary>A line for each command.</summary>
    public static string Usage => string.Join('\n', Commands
        .Select(command => (Words: string.Join(' ', command.Options.Concat(CommonOptions).Select(Word).Prepend(command.Name)), command.Does))
        .Append(($"{AllName} [--short]", "each of them"))
        .Select(line => $"  {line.Item1}\n      {line.Item2}"));

    public static CrashCommand? Find(string name) => Array.Find(Commands, command => command.Name == name);

    /// <summary>Runs one command. Its last line is its score.</summary>
    public static async Task<int> RunAsync(CrashCommand command, string[] words, CancellationToken stop)
    {
        var score = await ScoreAsync(command, words, stop);
        Console.WriteLine(score);
        return score.Failed == 0 ? 0 : 1;
    }

    /// <summary>Runs all commands one after the other, and sums up.</summary>
    public static async Task<int> RunAllAsync(bool isShort, CancellationToken stop)
    {
        var sum = new Score();
        foreach (var command in Commands)
        {
            foreach (var form in isShort ? command.ShortForms : command.LongForms)
            {
                Console.WriteLine($"== {command.Name} {form}");
                var score = await ScoreAsync(command, form.Split(' '), stop);
                Console.WriteLine(score);
                sum.Add(score);
            }
        }

        Console.WriteLine("== all");
        Console.WriteLine(sum);
        return sum.Failed == 0 ? 0 : 1;
    }

    private static async Task<Score> ScoreAsync(CrashCommand command, string[] words, CancellationToken stop)
    {
        using var run = new CrashRun(Arguments.Parse(words, [.. command.Options, .. CommonOptions]), stop);
        Console.WriteLine($"seed: {run.Seed}");
        try
        {
            await command.RunAsync(run);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            run.Score.Fail("interrupted");
        }
        catch (Exception exception) when (exception is TimeoutException or DqliteException or IOException or InvalidOperationException)
        {
            run.Score.Fail(exception.Message.ReplaceLineEndings(" "));
        }

        return run.Score;
    }

    private static string Word(string option) => option.EndsWith('!') ? $"[--{option[..^1]}]" : $"[--{option} {option[..1].ToUpperInvariant()}]";
}
