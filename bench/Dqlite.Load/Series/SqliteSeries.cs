using Dqlite.Load.Operations;
using Dqlite.Net.Benchmarks;

namespace Dqlite.Load.Series;

/// <summary>Microsoft.Data.Sqlite on a plain file in WAL mode, with or without flushes.</summary>
internal sealed class SqliteSeries(ScratchDirectory directory, bool flushes, LoadSpec spec) : ISeries, IDisposable
{
    private readonly UsageMeter _usage = new();

    public SeriesKey Key { get; } = new(flushes ? SeriesKey.SqliteFull : SeriesKey.SqliteOff, 1, spec.Clients);

    public async Task<Point> MeasureAsync(int round)
    {
        var database = new SqliteDatabase(directory.Sub(Key.Name), flushes);
        await database.FillAsync(spec);
        await using var session = await LoadSession.StartAsync(database, spec);
        var (before, walBefore) = (_usage.Read(), database.WalBytes);
        var measured = await session.MeasureAsync();
        var spent = _usage.Read() - before;
        return Point.Of(Key, Names.Of(spec.Operation), round, measured.Summarize(), spent with { LogBytes = database.WalBytes - walBefore, NetBytes = 0 });
    }

    public void Dispose() => _usage.Dispose();
}
