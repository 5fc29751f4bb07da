using System.Globalization;
using System.Text;

namespace Dqlite.Simulation.Checking;

/// <summary>Operations in words, for whoever has to find out what went wrong.</summary>
internal static class HistoryText
{
    /// <summary>Values of a list that are shown; of a longer one the last.</summary>
    private const int MaxShownValues = 12;

    /// <summary>One operation: its number, client, what it did, how and when it ended.</summary>
    public static string Describe(HistoryEntry entry) =>
        $"#{entry.Id} client {entry.Process}: {Action(entry)}, {End(entry)}{Level(entry)}";

    /// <summary>Seconds of simulated time.</summary>
    public static string Time(long ns) => string.Create(CultureInfo.InvariantCulture, $"{ns / 1e9:0.000000} s");

    /// <summary>A register's value.</summary>
    public static string Value(long? value) => value is { } known ? known.ToString(CultureInfo.InvariantCulture) : "nothing";

    /// <summary>A list, its end at least.</summary>
    public static string List(ReadOnlySpan<long> values)
    {
        var text = new StringBuilder("[");
        var first = Math.Max(0, values.Length - MaxShownValues);
        if (first > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"... {first} more, ");
        }

        for (var i = first; i < values.Length; i++)
        {
            text.Append(i > first ? " " : "").Append(values[i]);
        }

        return text.Append(']').ToString();
    }

    private static string Action(HistoryEntry entry)
    {
        var operation = entry.Operation;
        return operation.Kind switch
        {
            OperationKind.Read => $"read key {operation.Key}{(entry.Outcome == Outcome.Ok ? $" -> {Value(entry.Value)}" : "")}",
            OperationKind.Write => $"write {operation.Value} to key {operation.Key}",
            OperationKind.Cas => $"cas key {operation.Key} from {Value(operation.Expected)} to {operation.Value}",
            OperationKind.Transaction => Steps(entry),
            OperationKind.Transfer => $"transfer {operation.Value} from account {operation.From} to {operation.To}",
            OperationKind.ReadAll => $"read all accounts{(entry.Outcome == Outcome.Ok ? $" -> {List(entry.Balances)}" : "")}",
        };
    }

    private static string Steps(HistoryEntry entry)
    {
        var text = new StringBuilder("{");
        for (var i = 0; i < entry.Operation.Steps.Length; i++)
        {
            var step = entry.Operation.Steps[i];
            text.Append(i > 0 ? "; " : "");
            text.Append(step.Appended is { } value ? $"append {value} to {step.Key}" : $"read {step.Key}");
            if (step.Appended is null && entry.Outcome == Outcome.Ok)
            {
                text.Append(" -> ").Append(List(entry.Lists[i]));
            }
        }

        return text.Append('}').ToString();
    }

    private static string End(HistoryEntry entry) => entry.Outcome switch
    {
        Outcome.Ok => $"ok, {Time(entry.InvokedNs)} to {Time(entry.CompletedNs)}",
        Outcome.Fail => $"failed, {Time(entry.InvokedNs)} to {Time(entry.CompletedNs)}",
        Outcome.Info => $"unknown, invoked {Time(entry.InvokedNs)}, given up {Time(entry.CompletedNs)}",
        Outcome.Open => $"never answered, invoked {Time(entry.InvokedNs)}",
    };

    private static string Level(HistoryEntry entry) => entry.IsWeakRead ? $", level {entry.Operation.Level}" : "";
}
