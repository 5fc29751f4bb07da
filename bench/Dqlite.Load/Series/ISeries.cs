namespace Dqlite.Load.Series;

/// <summary>Which line of the picture, and which point of it.</summary>
internal sealed record SeriesKey(string Name, int Nodes, int Clients)
{
    public const string Floor = "floor";
    public const string SqliteFull = "sqlite-full";
    public const string SqliteOff = "sqlite-off";
}

/// <summary>Something that is measured once in each round.</summary>
internal interface ISeries
{
    SeriesKey Key { get; }

    Task<Point> MeasureAsync(int round);
}
