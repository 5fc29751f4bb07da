using System.Globalization;

namespace Dqlite.Crash.Histories;

/// <summary>What happened to an operation.</summary>
internal enum EventType
{
    /// <summary>It begins.</summary>
    Invoke,

    /// <summary>It took effect.</summary>
    Ok,

    /// <summary>It had no effect.</summary>
    Fail,

    /// <summary>Nobody knows; it may take effect later. Its process begins nothing more.</summary>
    Info,
}

/// <summary>What an operation does to a register.</summary>
internal enum RegisterFunction
{
    Read,
    Write,

    /// <summary>Compare and set.</summary>
    Cas,
}

/// <summary>One event of a history of registers, as Jepsen has them. No value is written twice.</summary>
/// <param name="Process">The client; it has one operation at a time.</param>
/// <param name="Type">What happened.</param>
/// <param name="Function">What the operation does.</param>
/// <param name="Key">The register.</param>
/// <param name="Value">What is read or written; null when it is not known yet, and for a register that was never written.</param>
/// <param name="Expected">For cas: the value that is to be replaced.</param>
/// <param name="TimeNs">When, on the clock that all processes of the machine share.</param>
internal sealed record HistoryEvent(long Process, EventType Type, RegisterFunction Function, int Key, long? Value, long? Expected, long TimeNs)
{
    private const string NoValue = "-";

    /// <summary>Reads what <see cref="ToLine"/> wrote.</summary>
    public static HistoryEvent Parse(string line)
    {
        var words = line.Split(' ');
        return new HistoryEvent(
            long.Parse(words[0], CultureInfo.InvariantCulture),
            Enum.Parse<EventType>(words[1]),
            Enum.Parse<RegisterFunction>(words[2]),
            int.Parse(words[3], CultureInfo.InvariantCulture),
            ParseValue(words[4]),
            ParseValue(words[5]),
            long.Parse(words[6], CultureInfo.InvariantCulture));
    }

    /// <summary>For the way from a child to its parent.</summary>
    public string ToLine() => string.Create(
        CultureInfo.InvariantCulture, $"{Process} {Type} {Function} {Key} {Value?.ToString(CultureInfo.InvariantCulture) ?? NoValue} {Expected?.ToString(CultureInfo.InvariantCulture) ?? NoValue} {TimeNs}");

    /// <summary>One line of a history file: {"index","process","type","f","value":[key,v],"time"}; the v of a cas is [expected,new].</summary>
    public string ToJson(int index)
    {
        var value = Value?.ToString(CultureInfo.InvariantCulture) ?? "null";
        var shown = Function == RegisterFunction.Cas ? string.Create(CultureInfo.InvariantCulture, $"[{Expected},{value}]") : value;
        return string.Create(
            CultureInfo.InvariantCulture,
            $$"""{"index":{{index}},"process":{{Process}},"type":"{{Name(Type)}}","f":"{{Name(Function)}}","value":[{{Key}},{{shown}}],"time":{{TimeNs}}}""");
    }

    private static string Name<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();

    private static long? ParseValue(string word) => word == NoValue ? null : long.Parse(word, CultureInfo.InvariantCulture);
}
