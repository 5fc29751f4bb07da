using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace Dqlite.Net.Benchmarks;

/// <summary>
/// Without a command: BenchmarkDotNet (its own options, such as --filter '*Write*'). With 'figures': the figures of docs/PERFORMANCE.md.
/// Both take --dir DIR, a directory on the disk that is measured; by default a new one in the current directory, removed at the end.
/// </summary>
internal static class Program
{
    private static async Task<int> Main(string[] args)
    {
        var words = args.ToList();
        var parent = TakeOption(words, "--dir") ?? Directory.GetCurrentDirectory();
        switch (words.FirstOrDefault())
        {
            case "figures":
                using (var directory = new ScratchDirectory(parent))
                {
                    var rounds = int.Parse(TakeOption(words, "--rounds") ?? "5", System.Globalization.CultureInfo.InvariantCulture);
                    await new FiguresCommand(directory, rounds, TakeOption(words, "--only")).RunAsync();
                }

                return 0;
            case MemberCommand.Name:
                return await MemberCommand.RunAsync(words[1..]);
            default:
                ScratchDirectory.DefaultParent = parent;
                var config = DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance));
                BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(words.Count > 0 ? [.. words] : ["--filter", "*"], config);
                return 0;
        }
    }

    private static string? TakeOption(List<string> words, string name)
    {
        var at = words.IndexOf(name);
        if (at < 0)
        {
            return null;
        }

        if (at + 1 == words.Count)
        {
            throw new ArgumentException($"{name} lacks its value.");
        }

        var value = words[at + 1];
        words.RemoveRange(at, 2);
        return value;
    }
}
