using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Simulation.World;
using static Dqlite.Simulation.Tests.World.NetworkBed;

namespace Dqlite.Simulation.Tests.World;

/// <summary>Everything at once: what must hold whatever happens. A failing seed is replayed by TestCase.</summary>
public sealed class NetworkChaosTests
{
    private const int Nodes = 4;

    [Test]
    public void Whatever_happens_no_message_comes_twice_and_after_the_end_of_all_faults_all_talk_again()
    {
        for (ulong seed = 1; seed <= 40; seed++)
        {
            try
            {
                new Play(seed).Go();
            }
            catch (Exception exception) when (exception is not ResultStateException)
            {
                Assert.Fail($"seed {seed}: {exception}");
            }
        }
    }

    [Test]
    public void The_same_seed_gives_the_same_history()
    {
        var first = new Play(3).Go();
        Assert.That(new Play(3).Go(), Is.EqualTo(first));
        Assert.That(new Play(4).Go(), Is.Not.EqualTo(first));
    }

    private sealed class Play
    {
        private readonly SeededRandom _random;
        private readonly NetworkBed _bed;
        private readonly HashSet<(long From, long To, long Sequence)> _sent = [];
        private readonly HashSet<(long From, long To, long Sequence)> _delivered = [];
        private readonly ulong _seed;
        private long _sequence;

        internal Play(ulong seed)
        {
            _seed = seed;
            _random = new SeededRandom(seed).Stream("play");
            _bed = new NetworkBed(Nodes, seed, new NetworkOptions { SilentPowerCutChance = 0.5 });
            _bed.Network.Sent = (from, to, message) => _sent.Add(KeyOf(from, to, message));
            _bed.Network.Delivered = (from, to, message) =>
            {
                var key = KeyOf(from, to, message);
                Assert.That(_sent.Contains(key), Is.True, $"seed {_seed}: nobody sent it");
                Assert.That(_delivered.Add(key), Is.True, $"seed {_seed}: {key} came twice");
            };
        }

        internal string Go()
        {
            for (var step = 0; step < 1500; step++)
            {
                Step();
                _bed.Run(_random.Next(30 * MillisecondNs));
            }

            _bed.Network.Heal();
            foreach (var node in _bed.Nodes)
            {
                node.Machine.Resume();
                Start(node);
            }

            _bed.Run(15 * SecondNs);
            CheckAllTalk();
            return string.Join('\n', _bed.Record);
        }

        private static (long From, long To, long Sequence) KeyOf(NodeId from, NodeId to, PeerMessage message) => (from.Value, to.Value, message switch
        {
            RaftPeerMessage { Message: HeartbeatRequest heartbeat } => heartbeat.ReadSequence,
            StreamChunk chunk => chunk.Sequence,
            _ => throw new InvalidOperationException($"{message}"),
        });

        private void Step()
        {
            int from = _random.Between(1, Nodes), to = _random.Between(1, Nodes);
            if (from == to)
            {
                return;
            }

            var machine = _bed[from].Machine;
            switch (_random.Next(100))
            {
                case < 80:
                    Send(from, to);
                    break;
                case < 82:
                    _bed.Network.Break(from, to);
                    break;
                case < 83:
                    _bed.Network.Link(from, to).CorruptNext();
                    break;
                case < 85:
                    _bed.Network.Link(from, to).Clog(_bed.Scheduler.NowNs + _random.Next(15 * SecondNs));
                    break;
                case < 87:
                    _bed.Network.Link(from, to).Block();
                    break;
                case < 88:
                    _bed.Network.Isolate(from);
                    break;
                case < 91:
                    _bed.Network.Heal();
                    break;
                case < 92:
                    machine.PowerOff();
                    break;
                case < 93:
                    machine.Kill();
                    break;
                case < 95:
                    machine.Pause();
                    break;
                case < 97:
                    machine.Resume();
                    break;
                default:
                    Start(_bed[from]);
                    break;
            }
        }

        private void Start(Node node)
        {
            if (!node.Machine.IsUp)
            {
                node.Machine.Start();
                node.StartTransport();
            }
        }

        private void Send(int from, int to)
        {
            var machine = _bed[from].Machine;
            if (!machine.IsUp || machine.IsPaused)
            {
                return;
            }

            for (var i = _random.Next(20); i > 0; i--)
            {
                if (_random.Next(10) == 0)
                {
                    _bed[from].Transport.Send(new NodeId(to), new StreamChunk(1, ++_sequence, 2, new byte[_random.Next(300_000)]));
                }
                else
                {
                    _bed[from].Send(to, ++_sequence);
                }
            }
        }

        private void CheckAllTalk()
        {
            _delivered.Clear();
            for (var from = 1; from <= Nodes; from++)
            {
                for (var to = 1; to <= Nodes; to++)
                {
                    if (from != to)
                    {
                        Assert.That(_bed[from].Send(to, ++_sequence), Is.True);
                    }
                }
            }

            _bed.Run(SecondNs);
            Assert.That(_delivered, Has.Count.EqualTo(Nodes * (Nodes - 1)), $"seed {_seed}");
        }
    }
}
