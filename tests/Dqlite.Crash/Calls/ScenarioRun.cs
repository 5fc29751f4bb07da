using System.Globalization;
using Dqlite.Crash.Ledgers;
using Dqlite.Crash.Nodes;
using Dqlite.Crash.Processes;

namespace Dqlite.Crash.Calls;

/// <summary>One scenario in a process of its own, and then what a fresh process makes of the directories.</summary>
internal sealed class ScenarioRun(string data, IReadOnlyList<string> addresses)
{
    /// <summary>A child that takes longer hangs.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private const int KilledExitCode = 128 + 9;
    private readonly List<string> _problems = [];
    private readonly SortedDictionary<CallPhase, int> _calls = [];
    private readonly SortedSet<string> _rows = new(StringComparer.Ordinal);
    private long _duplicated;
    private bool _isDone;

    public Ledger Ledger { get; } = new();

    /// <summary>The call that was hit; null when it was not reached.</summary>
    public string? Hit { get; private set; }

    /// <summary>Why the scenario ended early; empty when it did not.</summary>
    public string Ended { get; private set; } = "";

    /// <summary>What went wrong; empty when nothing did.</summary>
    public IReadOnlyList<string> Problems => _problems;

    /// <summary>The calls of a scenario that came to its end, by what they were for.</summary>
    public IReadOnlyDictionary<CallPhase, int> Calls => _calls;

    /// <summary>Plays the scenario and recovers from it.</summary>
    public async Task RunAsync(CallTarget target, CancellationToken stop)
    {
        using (var child = ChildProcess.Start(OnScenarioLine, ScenarioCommand.Words(data, addresses, target)))
        {
            if (await child.EndAsync(Patience, stop) is { } hang)
            {
                _problems.Add("the scenario hangs: " + hang);
            }
            else if (child.ExitCode != 0 && !(IsKill(target.Action) && child.ExitCode == KilledExitCode && Hit is not null))
            {
                _problems.Add(string.Create(CultureInfo.InvariantCulture, $"the scenario ended with code {child.ExitCode}: {child.Errors}"));
            }
        }

        using (var child = ChildProcess.Start(OnRecoverLine, RecoverCommand.Words(data, addresses)))
        {
            if (await child.EndAsync(Patience, stop) is { } hang)
            {
                _problems.Add("the restart hangs: " + hang);
            }
            else if (child.ExitCode != 0 || !_isDone)
            {
                _problems.Add(string.Create(CultureInfo.InvariantCulture, $"the restart ended with code {child.ExitCode}: {child.Errors}"));
            }
            else
            {
                _problems.AddRange(Ledger.Compare(_rows, _duplicated));
            }
        }
    }

    private static bool IsKill(CallAction action) => action is CallAction.Before or CallAction.After or CallAction.Half;

    private void OnScenarioLine(string? line)
    {
        if (line is null)
        {
            return;
        }

        if (ChildReport.TryParseTag(line, out var state, out var tag))
        {
            Ledger.Record(state, tag);
        }
        else if (line.StartsWith(CallHook.HitWord, StringComparison.Ordinal))
        {
            Hit = line[CallHook.HitWord.Length..].Replace(data + Path.DirectorySeparatorChar, "", StringComparison.Ordinal);
        }
        else if (line.StartsWith(CallHook.CallsWord, StringComparison.Ordinal))
        {
            var words = line.Split(' ');
            _calls[Enum.Parse<CallPhase>(words[1])] = int.Parse(words[2], CultureInfo.InvariantCulture);
        }
        else if (line.StartsWith(ScenarioEndedException.Word, StringComparison.Ordinal))
        {
            Ended = line[ScenarioEndedException.Word.Length..].Replace(data + Path.DirectorySeparatorChar, "", StringComparison.Ordinal);
        }
    }

    private void OnRecoverLine(string? line)
    {
        switch (line)
        {
            case RecoverCommand.DoneWord:
                _isDone = true;
                break;
            case { } row when row.StartsWith(RecoverCommand.RowWord, StringComparison.Ordinal):
                _duplicated += _rows.Add(row[RecoverCommand.RowWord.Length..]) ? 0 : 1;
                break;
            case { } ended when ended.StartsWith(ScenarioEndedException.Word, StringComparison.Ordinal):
                _problems.Add(ended[ScenarioEndedException.Word.Length..]);
                break;
            case { } problem when problem.StartsWith(RecoverCommand.ProblemWord, StringComparison.Ordinal):
                _problems.Add(problem[RecoverCommand.ProblemWord.Length..]);
                break;
        }
    }
}
