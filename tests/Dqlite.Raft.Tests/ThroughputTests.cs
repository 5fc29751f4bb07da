using System.Diagnostics;
using static Dqlite.Raft.Tests.Harness.Short;

namespace Dqlite.Raft.Tests;

/// <summary>How fast three cores are with nothing around them: a number for docs, not a gate. Run it by name.</summary>
[Explicit]
public sealed class ThroughputTests
{
    [Test]
    public void Proposals_per_second_through_three_cores([Values(1, 16, 64)] int pipelined)
    {
        var trio = new Trio();
        trio.Elect();
        trio.Run(20_000, pipelined);
        var watch = Stopwatch.StartNew();
        const int count = 300_000;
        trio.Run(count, pipelined);
        var seconds = watch.Elapsed.TotalSeconds;
        TestContext.Out.WriteLine($"{count / seconds:N0} proposals/s, {trio.Messages / (double)(count + 20_000):N1} messages each, {pipelined} at a time");
        Assert.That(trio.Committed, Is.GreaterThan(count));
    }

    private sealed class Trio
    {
        private readonly RaftCore[] _cores = Enumerable.Range(1, 3).Select(id => new RaftCore(
            new RaftOptions { Id = N(id) },
            new RaftInitialState { HardState = default, Configuration = Voters(3), FirstIndex = I(1), PreviousTerm = T(0), Entries = [] })).ToArray();

        private readonly RaftOutputs _outputs = new();
        private readonly Queue<RaftMessage> _network = new();
        private readonly List<LogEntry> _log = [];
        private long _nowNs;

        public long Messages { get; private set; }

        public long Committed => _cores[0].CommitIndex.Value;

        public void Elect()
        {
            _cores[0].Campaign(0, _outputs);
            Drain(_cores[0]);
            Deliver();
        }

        public void Run(int count, int pipelined)
        {
            var payload = new byte[100];
            for (var i = 0; i < count; i += pipelined)
            {
                _nowNs += 100_000;
                for (var j = 0; j < pipelined; j++)
                {
                    _cores[0].Propose(_cores[0].CurrentTerm, payload, _nowNs, _outputs);
                }

                Drain(_cores[0]);
                Deliver();
                Compact();
            }
        }

        private void Deliver()
        {
            while (_network.TryDequeue(out var message))
            {
                var core = _cores[message.To.Value - 1];
                core.Receive(message, _nowNs, _outputs);
                Drain(core);
            }
        }

        private void Drain(RaftCore core)
        {
            while (!_outputs.IsEmpty)
            {
                var state = _outputs.HardState;
                var last = _outputs.Appends.Count > 0 ? _outputs.Appends[^1] : null;
                if (core == _cores[0])
                {
                    _log.AddRange(_outputs.Appends);
                }

                foreach (var message in _outputs.Messages)
                {
                    Messages++;
                    _network.Enqueue(message is AppendEntriesRequest append && append.LastIndex >= append.FirstIndex
                        ? append with { Entries = _log.GetRange((int)(append.FirstIndex.Value - _log[0].Index.Value), (int)(append.LastIndex.Value - append.PrevLogIndex.Value)) }
                        : message);
                }

                _outputs.Clear();
                if (state is not null)
                {
                    core.HardStatePersisted(state.Value, _nowNs, _outputs);
                }

                if (last is not null)
                {
                    core.EntriesPersisted(last.Index, last.Term, _nowNs, _outputs);
                }
            }
        }

        private void Compact()
        {
            if (_log.Count < 10_000)
            {
                return;
            }

            var upTo = I(_cores.Min(core => core.CommitIndex.Value) - 100);
            Array.ForEach(_cores, core => core.Compact(upTo));
            _log.RemoveRange(0, (int)(upTo.Value - _log[0].Index.Value + 1));
        }
    }
}
