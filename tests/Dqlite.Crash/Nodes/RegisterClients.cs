using System.Diagnostics;
using System.Globalization;
using Dqlite.Crash.Histories;
using Dqlite.Net;
using Dqlite.Simulation.World;
using Quickstart;

namespace Dqlite.Crash.Nodes;

/// <summary>
/// Clients of one node that read and write registers, each at level Linearizable, and say so before and after. They are as frequent as a
/// checker can bear, except when they see that time has jumped: an old leader that has just been let go on is asked without a pause.
/// </summary>
internal sealed class RegisterClients(DqliteNode node, int number, SeededRandom chance)
{
    public const string Name = "registers";
    private const int Clients = 3;
    private const int Registers = 4;
    private const int BurstOperations = 60;
    private const long ProcessesPerNode = 1_000_000;
    private const long ValuesPerProcess = 1_000_000;
    private static readonly TimeSpan Jump = TimeSpan.FromMilliseconds(15);

    public async Task RunAsync(CancellationToken stop)
    {
        var source = await Schema.PrepareAsync(node, stop);
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => new Client(node, source, (number * ProcessesPerNode) + client, chance.Stream("client", client)).RunAsync(stop)));
    }

    private sealed class Client(DqliteNode node, DqliteDataSource source, long process, SeededRandom chance)
    {
        private readonly long?[] _lastSeen = new long?[Registers];
        private long _sequence;

        public async Task RunAsync(CancellationToken stop)
        {
            var burst = 0;
            while (!stop.IsCancellationRequested)
            {
                var began = Stopwatch.GetTimestamp();
                await OperateAsync();
                if (burst == 0)
                {
                    await Task.Delay(chance.Between(1, 4), stop);
                }

                burst = Stopwatch.GetElapsedTime(began) > Jump ? BurstOperations : Math.Max(0, burst - 1);
            }
        }

        private async Task OperateAsync()
        {
            var key = chance.Next(Registers);
            var draw = chance.Next(100);
            var function = draw < (node.IsLeader ? 50 : 90) ? RegisterFunction.Read : draw % 3 == 0 && _lastSeen[key] is not null ? RegisterFunction.Cas : RegisterFunction.Write;
            var operation = new HistoryEvent(
                process,
                EventType.Invoke,
                function,
                key,
                function == RegisterFunction.Read ? null : (process * ValuesPerProcess) + ++_sequence,
                function == RegisterFunction.Cas ? _lastSeen[key] : null,
                Stopwatch.GetTimestamp());
            Say(operation);
            var (type, value) = await RunAsync(operation);
            if (type == EventType.Ok)
            {
                _lastSeen[key] = value;
            }

            Say(operation with { Type = type, Value = value, TimeNs = Stopwatch.GetTimestamp() });
            process += type == EventType.Info ? Clients : 0; // this one's last operation may still take effect
        }

        private async Task<(EventType Type, long? Value)> RunAsync(HistoryEvent operation)
        {
            try
            {
                await using var connection = await source.OpenConnectionAsync();
                await using var command = connection.CreateCommand();
                command.Consistency = ReadConsistency.Linearizable;
                command.Parameters.AddWithValue("$key", operation.Key);
                switch (operation.Function)
                {
                    case RegisterFunction.Read:
                        command.CommandText = "SELECT value FROM registers WHERE key = $key";
                        var read = await command.ExecuteScalarAsync();
                        return (EventType.Ok, read is null ? null : Convert.ToInt64(read, CultureInfo.InvariantCulture));
                    case RegisterFunction.Write:
                        command.CommandText = "INSERT INTO registers VALUES ($key, $value) ON CONFLICT DO UPDATE SET value = $value";
                        break;
                    case RegisterFunction.Cas:
                        command.CommandText = "UPDATE registers SET value = $value WHERE key = $key AND value = $expected";
                        command.Parameters.AddWithValue("$expected", operation.Expected!.Value);
                        break;
                }

                command.Parameters.AddWithValue("$value", operation.Value!.Value);
                return (await command.ExecuteNonQueryAsync() == 1 ? EventType.Ok : EventType.Fail, operation.Value);
            }
            catch (DqliteUnknownOutcomeException)
            {
                return (EventType.Info, operation.Value);
            }
            catch (DqliteException)
            {
                return (EventType.Fail, operation.Value);
            }
        }

        private static void Say(HistoryEvent happened) => ChildReport.Line(ChildReport.HistoryWord + happened.ToLine());
    }
}
