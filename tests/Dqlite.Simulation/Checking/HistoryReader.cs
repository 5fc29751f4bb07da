using System.Text.Json;

namespace Dqlite.Simulation.Checking;

/// <summary>Reads what <see cref="HistoryWriter"/> writes (docs/formats/history.md). Events of anything but a numbered process are passed over.</summary>
internal sealed class HistoryReader
{
    /// <summary>The highest number of a client.</summary>
    private const int MaxClient = 1_000_000;

    private readonly History _history;
    private readonly Dictionary<int, int> _open = [];
    private long _nowNs;

    private HistoryReader() => _history = new History(() => _nowNs);

    /// <summary>Reads all events.</summary>
    /// <exception cref="FormatException">A line is not an event, or does not fit those before it; the text names it.</exception>
    public static History Read(TextReader text)
    {
        var reader = new HistoryReader();
        var number = 0;
        while (text.ReadLine() is { } line)
        {
            number++;
            if (line.Length > 0)
            {
                reader.ReadLine(line, number);
            }
        }

        return reader._history;
    }

    private void ReadLine(string line, int number)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            ReadEvent(document.RootElement);
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or KeyNotFoundException or IndexOutOfRangeException
            or ArgumentException or FormatException)
        {
            throw new FormatException($"Line {number} is not an event of a history: {failure.Message}", failure);
        }
    }

    private void ReadEvent(JsonElement line)
    {
        var process = line.GetProperty("process");
        if (process.ValueKind != JsonValueKind.Number)
        {
            return;
        }

        var client = (line.TryGetProperty("client", out var known) ? known : process).GetInt32();
        if (client is < 0 or > MaxClient)
        {
            throw new FormatException($"client {client} is none of 0 to {MaxClient}.");
        }

        _nowNs = line.GetProperty("time").GetInt64();
        var type = line.GetProperty("type").GetString();
        if (type == "invoke")
        {
            _open[client] = _history.Begin(client, ReadOperation(line));
        }
        else if (_open.Remove(client, out var id))
        {
            Complete(id, type, line.GetProperty("value"));
        }
        else
        {
            throw new FormatException($"client {client} has no open operation.");
        }
    }

    private static Operation ReadOperation(JsonElement line)
    {
        var value = line.GetProperty("value");
        var level = ReadLevelOf(line);
        var function = line.GetProperty("f").GetString();
        return function switch
        {
            "read" => Operation.Read(value[0].GetInt64(), level),
            "write" => Operation.Write(value[0].GetInt64(), value[1].GetInt64()),
            "cas" => Operation.Cas(value[0].GetInt64(), Number(value[1][0]), value[1][1].GetInt64()),
            "txn" => Operation.Transaction(level, value.EnumerateArray().Select(ReadStep).ToArray()),
            "transfer" => ReadTransfer(value),
            "read-all" => Operation.ReadAll(level),
            _ => throw new FormatException($"f '{function}' is not known."),
        };
    }

    private static ReadLevel ReadLevelOf(JsonElement line)
    {
        var text = line.TryGetProperty("level", out var level) ? level.GetString() : "linearizable";
        return text switch
        {
            "linearizable" => ReadLevel.Linearizable,
            "session" => ReadLevel.Session,
            "local" => ReadLevel.Local,
            _ => throw new FormatException($"level '{text}' is not known."),
        };
    }

    private static MicroOperation ReadStep(JsonElement step) => step[0].GetString() switch
    {
        "append" => MicroOperation.Append(step[1].GetInt64(), step[2].GetInt64()),
        "r" => MicroOperation.Read(step[1].GetInt64()),
        var other => throw new FormatException($"step '{other}' is not known."),
    };

    private static Operation ReadTransfer(JsonElement value) => Operation.Transfer(
        value.GetProperty("from").GetInt32(),
        value.GetProperty("to").GetInt32(),
        value.GetProperty("amount").GetInt64(),
        value.TryGetProperty("overdraft", out var overdraft) && overdraft.GetBoolean());

    private void Complete(int id, string? type, JsonElement value)
    {
        switch (type)
        {
            case "fail":
                _history.Fail(id);
                break;
            case "info":
                _history.Info(id);
                break;
            case "ok":
                CompleteOk(id, value);
                break;
            default:
                throw new FormatException($"type '{type}' is not known.");
        }
    }

    private void CompleteOk(int id, JsonElement value)
    {
        var operation = _history.Entries[id].Operation;
        switch (operation.Kind)
        {
            case OperationKind.Read:
                _history.OkRead(id, Number(value[1]));
                break;
            case OperationKind.Transaction:
                _history.OkTransaction(id, value.EnumerateArray().Select(step => step[0].GetString() == "r" ? Numbers(step[2]) : null).ToArray());
                break;
            case OperationKind.ReadAll:
                _history.OkReadAll(id, Numbers(value.GetProperty("accounts")) ?? throw new FormatException("accounts are missing."));
                break;
            default:
                _history.Ok(id);
                break;
        }
    }

    private static long? Number(JsonElement value) => value.ValueKind == JsonValueKind.Null ? null : value.GetInt64();

    private static long[]? Numbers(JsonElement value) =>
        value.ValueKind == JsonValueKind.Null ? null : value.EnumerateArray().Select(item => item.GetInt64()).ToArray();
}
