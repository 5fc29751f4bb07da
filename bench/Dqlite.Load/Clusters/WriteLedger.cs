using System.Data.Common;
using System.Diagnostics;

namespace Dqlite.Load.Clusters;

/// <summary>What the writers of one process were told about their rows. A writer numbers its rows from 0 and ends with its first error.</summary>
internal sealed class WriteLedger
{
    /// <summary>The rows name their writers.</summary>
    public const string CreateTable = "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, writer TEXT NOT NULL, number INTEGER NOT NULL, value NOT NULL)";

    private readonly Lock _lock = new();
    private readonly List<Writer> _writers = [];

    /// <summary>A new writer; its name was never used in this cluster.</summary>
    public Writer Add(long node)
    {
        lock (_lock)
        {
            var writer = new Writer($"{node}-{Environment.ProcessId}-{_writers.Count}", _lock);
            _writers.Add(writer);
            return writer;
        }
    }

    /// <summary>How many rows were acknowledged after a moment, by the clock of <see cref="Stopwatch"/>.</summary>
    public int CountAfter(long moment)
    {
        lock (_lock)
        {
            return _writers.Sum(writer => writer.CountAfter(moment));
        }
    }

    /// <summary>Compares with the table, when no writer works any more.</summary>
    /// <returns>How many rows were acknowledged.</returns>
    /// <exception cref="MemberException">One of them is not there, or one is there that failed, or one is there twice.</exception>
    public async Task<int> VerifyAsync(DbConnection connection)
    {
        var found = new Dictionary<string, (long Rows, long Numbers, long Last)>();
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT writer, count(*), count(DISTINCT number), max(number) FROM t GROUP BY writer";
        await using (var reader = await command.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                found.Add(reader.GetString(0), (reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3)));
            }
        }

        foreach (var writer in _writers)
        {
            writer.Verify(found.GetValueOrDefault(writer.Name, (0, 0, -1)));
        }

        return _writers.Sum(writer => writer.Acknowledged);
    }

    /// <summary>One writer.</summary>
    internal sealed class Writer(string name, Lock gate)
    {
        private readonly List<long> _acknowledgedAt = [];
        private bool _isLastUnknown;

        public string Name => name;

        /// <summary>How many rows were acknowledged, and so the number of the next one.</summary>
        public int Acknowledged => _acknowledgedAt.Count;

        /// <summary>The row with the next number is acknowledged.</summary>
        public void Acknowledge()
        {
            lock (gate)
            {
                _acknowledgedAt.Add(Stopwatch.GetTimestamp());
            }
        }

        /// <summary>The row with the next number may be there or not.</summary>
        public void EndUnknown() => _isLastUnknown = true;

        public int CountAfter(long moment) => _acknowledgedAt.Count(at => at > moment);

        public void Verify((long Rows, long Numbers, long Last) found)
        {
            var problem = found switch
            {
                _ when found.Rows < Acknowledged => "Acknowledged rows are lost",
                _ when found.Rows > Acknowledged + (_isLastUnknown ? 1 : 0) => "A row is there whose write failed without effect",
                _ when found.Numbers != found.Rows || found.Last != found.Rows - 1 => "A row is there twice, and another one is lost",
                _ => null,
            };
            if (problem is not null)
            {
                throw new MemberException(
                    $"{problem}: writer {Name} had {Acknowledged} acknowledged{(_isLastUnknown ? " and one of unknown outcome" : "")}, numbered from 0; the table has {found.Rows} of it, {found.Numbers} different numbers, the last {found.Last}.");
            }
        }
    }
}
