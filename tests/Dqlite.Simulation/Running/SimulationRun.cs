using Dqlite.Net;
using Dqlite.Raft;
using Dqlite.Simulation.Checking;
using Dqlite.Simulation.Cluster;
using Dqlite.Simulation.Faults;
using Dqlite.Simulation.Tracing;
using Dqlite.Simulation.Workload;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Running;

/// <summary>One seed from its beginning to its verdict.</summary>
internal sealed class SimulationRun : IDisposable
{
    private readonly RunOptions _options;
    private readonly Scheduler _scheduler = new();
    private readonly EventLog _log;
    private readonly SimShape _shape;
    private readonly IReadOnlyList<Fault> _faults;
    private readonly ITier _tier;
    private readonly TraceWriter? _trace;
    private readonly SimCluster _cluster;
    private readonly DatabaseHistories _histories;
    private readonly FullTier.FullWorld? _world;
    private readonly Admin _admin;
    private readonly DatabaseSetup _setup;
    private readonly FaultInjector _injector;
    private readonly List<SimClient> _clients = [];
    private readonly List<Task> _tasks = [];
    private long _values;

    private SimulationRun(RunOptions options)
    {
        _options = options;
        var random = new SeededRandom(options.Seed);
        _log = new EventLog(() => _scheduler.NowNs, options.Sink is not null) { Sink = options.Sink };
        _shape = SimShape.Draw(random.Stream("shape"), options.Needs, options.IsFull);
        _faults = FaultPlan.Draw(_shape, random.Stream("faults"));
        _tier = Tiers.Create(options.IsFull, random.Stream("tier"));
        _histories = new DatabaseHistories(_scheduler);
        _trace = options.TracePath is { } path ? new TraceWriter(File.Create(path), () => _scheduler.NowNs) : null;
        _cluster = new SimCluster(_shape, random, _tier, _log, _scheduler) { Trace = _trace };
        if (options is { HasNodeLogs: true, Sink: { } sink })
        {
            _cluster.Loggers = node => new SimLogger(node, () => _scheduler.NowNs, sink);
        }

        _world = options.IsFull ? new FullTier.FullWorld(_cluster) : null;
        _admin = new Admin(_cluster);
        _injector = new FaultInjector(_cluster, _admin);
        _setup = new DatabaseSetup(_cluster, _admin);
    }

    /// <summary>Runs a seed.</summary>
    public static RunResult Run(RunOptions options)
    {
        using var run = new SimulationRun(options);
        return run.Run();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _tier.Dispose();
        _world?.Dispose();
        _trace?.Dispose();
        _log.Dispose();
    }

    private RunResult Run()
    {
        string? failure;
        try
        {
            _log.Say($"seed {_options.Seed}: {_shape.Voters} voters, {_shape.Clients} clients, {_faults.Count} faults, election timeout {_shape.ElectionTimeoutNs / 1_000_000} ms");
            Begin();
            failure = RunToEnd();
        }
        finally
        {
            _cluster.End();
        }

        WriteHistories();
        failure ??= _cluster.Invariants.Failure ?? CheckHistories();
        var operations = _histories.All.Values.SelectMany(history => history.Entries).ToArray();
        return new RunResult(_options.Seed, failure, _log.Hash(), _faults, operations.Length, operations.Count(entry => entry.Outcome == Outcome.Ok), _scheduler.NowNs,
            _cluster.Invariants.Leaders, _log.Tail);
    }

    private void Begin()
    {
        _cluster.Start();
        _injector.Schedule([.. _faults.Where(fault => _options.Faults is null || _options.Faults.Contains(fault.Number))]);
        _tasks.Add(_setup.RunAsync());
        var thinkNs = _shape.QuietAtNs * _shape.Clients / _shape.TargetOperations;
        for (var i = 0; i < _shape.Clients; i++)
        {
            var client = new SimClient(_cluster, _histories, _setup, i, () => ++_values);
            _clients.Add(client);
            _tasks.Add(client.RunAsync(thinkNs));
        }

        for (var i = 0; i < (_shape.HasPlainClients ? 2 : 0); i++)
        {
            _tasks.Add(new SimPlainClient(_cluster, _histories, _setup, _shape.Clients + 1 + i, () => ++_values).RunAsync(thinkNs * 3));
        }

        _tasks.Add(new Epilogue(_cluster, _histories, _setup, _clients, () => ++_values, new QuietProbes(_cluster, _admin)).RunAsync());
    }

    private string? RunToEnd()
    {
        var endNs = _shape.DurationNs + Epilogue.MaxNs(_shape);
        while (_cluster.Invariants.Failure is null && _scheduler.Step(endNs))
        {
            if ((_scheduler.Count & 0xff) == 0 && _tasks.Concat(_injector.Tasks).FirstOrDefault(task => task.IsFaulted) is { } failed)
            {
                return $"the simulation failed: {failed.Exception!.InnerException}";
            }

            if (_tasks[^1].IsCompletedSuccessfully)
            {
                return null;
            }
        }

        return _cluster.Invariants.Failure ?? (_tasks.Concat(_injector.Tasks).FirstOrDefault(task => task.IsFaulted) is { } faulted
            ? $"the simulation failed: {faulted.Exception!.InnerException}"
            : _tasks[^1].IsCompleted ? null : $"the run did not end within {endNs / SimShape.Second} simulated seconds");
    }

    /// <summary>One file for each database: the second and later ones have its id in the name.</summary>
    private void WriteHistories()
    {
        if (_options.HistoryPath is not { } path)
        {
            return;
        }

        foreach (var (database, history) in _histories.All)
        {
            using var stream = File.Create(database == _histories.All.Keys.First() ? path : $"{path}.{database}");
            HistoryWriter.Write(history, stream);
        }
    }

    private string? CheckHistories()
    {
        var bank = new BankOptions(Initial: [.. Enumerable.Repeat(_shape.Workload.InitialBalance, _shape.Workload.Accounts)]);
        foreach (var (database, history) in _histories.All)
        {
            foreach (var result in HistoryChecker.Check(history, null, bank))
            {
                if (result.Verdict == Verdict.Invalid)
                {
                    return $"database {database}: {result}";
                }
            }
        }

        return null;
    }
}
