using System.Globalization;
using Dqlite.Load.Operations;
using Dqlite.Load.Output;
using Dqlite.Net.Benchmarks;
using Quickstart;

namespace Dqlite.Load.Commands;

/// <summary>How a leader goes.</summary>
internal enum Loss
{
    /// <summary>SIGKILL: its sockets close.</summary>
    Kill,

    /// <summary>A partition: it goes on and takes itself for the leader, but nothing comes from it or gets to it, and no socket closes.</summary>
    Silent,

    /// <summary>SIGSTOP: its sockets stay open and nothing comes from them; it does nothing itself.</summary>
    Stop,
}

/// <summary>Takes the leader away under load, again and again: the time to the first write that another node acknowledged. At the end every acknowledged row must be there.</summary>
internal sealed class FailoverCommand
{
    private readonly Loss[] _losses;
    private readonly int _nodes;
    private readonly int _rounds;
    private readonly int _writers;
    private readonly string _directory;

    private FailoverCommand(Arguments arguments, Loss[] losses)
    {
        _losses = losses;
        _nodes = arguments.Number("nodes", 3, 3, 9);
        _rounds = arguments.Number("rounds", 20, 1, 10_000);
        _writers = arguments.Number("clients", 4, 1, 1024);
        _directory = LoadOptions.DirectoryOf(arguments);
    }

    public static FailoverCommand Parse(Arguments arguments) =>
        new(arguments, [.. (arguments.Find("how") ?? "kill,silent").Split(',').Select(word => Names.Parse<Loss>("how", word)).Distinct()]);

    public async Task RunAsync()
    {
        using var directory = new ScratchDirectory(_directory);
        var progress = new Progress(_losses.Length * _rounds);
        foreach (var loss in _losses)
        {
            await using var run = await FailoverRun.StartAsync(loss, directory.Sub(Names.Of(loss)), _nodes, _writers);
            var sample = new Sample(_rounds);
            for (var round = 1; round <= _rounds; round++)
            {
                var gap = await run.MeasureAsync();
                sample.Add(gap);
                progress.End(string.Create(CultureInfo.InvariantCulture, $"{Names.Of(loss)} {round}/{_rounds}: {gap.TotalMilliseconds:0} ms"));
            }

            var acknowledged = await run.VerifyAsync();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Names.Of(loss)}, first write elsewhere: p50 {sample.P50:0} ms, max {sample.Max:0} ms, {_rounds} rounds"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Names.Of(loss)}, rows acknowledged: {acknowledged}, all of them there{run.OldLeaders}"));
        }
    }
}
