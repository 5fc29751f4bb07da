namespace Dqlite.Net.Data;

/// <summary>SQLite's Julian day numbers (days since noon, 24 November 4714 BC), at its own precision of a millisecond. Source: date.c.</summary>
internal static class JulianDay
{
    private const double DayMs = 86_400_000;

    // 0001-01-01T00:00:00 as a Julian day in milliseconds: 1721425.5 days.
    private const long DateTimeEpochMs = 148_731_163_200_000;

    public static double FromDateTime(DateTime value) => (DateTimeEpochMs + value.Ticks / TimeSpan.TicksPerMillisecond) / DayMs;

    public static DateTime ToDateTime(double julianDay)
    {
        var milliseconds = Math.Floor(julianDay * DayMs + 0.5) - DateTimeEpochMs;
        return milliseconds >= 0 && milliseconds <= DateTime.MaxValue.Ticks / TimeSpan.TicksPerMillisecond
            ? new DateTime((long)milliseconds * TimeSpan.TicksPerMillisecond)
            : throw new ArgumentOutOfRangeException(nameof(julianDay), julianDay, "The Julian day is not one of the years 1 to 9999.");
    }
}
