using System.Text.Json;

namespace Dqlite.Simulation.Checking;

/// <summary>
/// Writes a history as JSON lines in Jepsen's form, one event a line in the order of time (docs/formats/history.md). A client that gave up on an
/// operation goes on under a new process number: its last one plus the number of clients.
/// </summary>
internal sealed class HistoryWriter
{
    private readonly Utf8JsonWriter _json;
    private readonly int[] _processes;
    private readonly int _clients;
    private int _index;

    private HistoryWriter(Utf8JsonWriter json, int clients)
    {
        _json = json;
        _clients = clients;
        _processes = new int[clients];
        for (var client = 0; client < clients; client++)
        {
            _processes[client] = client;
        }
    }

    /// <summary>Writes all events.</summary>
    public static void Write(History history, Stream stream)
    {
        using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { SkipValidation = false });
        var writer = new HistoryWriter(json, history.Processes);
        foreach (var at in new Timeline(history).Events)
        {
            writer.WriteEvent(history.Entries[at >> 1], (at & 1) == 1);
            json.Flush();
            json.Reset();
            stream.WriteByte((byte)'\n');
        }
    }

    private void WriteEvent(HistoryEntry entry, bool isCompletion)
    {
        var process = _processes[entry.Process];
        _json.WriteStartObject();
        _json.WriteNumber("index", _index++);
        _json.WriteNumber("process", process);
        _json.WriteString("type", isCompletion ? Type(entry.Outcome) : "invoke");
        _json.WriteString("f", Function(entry.Operation.Kind));
        _json.WritePropertyName("value");
        WriteValue(entry, isCompletion && entry.Outcome == Outcome.Ok);
        _json.WriteNumber("time", isCompletion ? entry.CompletedNs : entry.InvokedNs);
        if (process != entry.Process)
        {
            _json.WriteNumber("client", entry.Process);
        }

        if (entry.Operation.Level != ReadLevel.Linearizable)
        {
            _json.WriteString("level", entry.Operation.Level == ReadLevel.Local ? "local" : "session");
        }

        _json.WriteEndObject();
        if (isCompletion && entry.Outcome == Outcome.Info)
        {
            _processes[entry.Process] += _clients;
        }
    }

    private static string Type(Outcome outcome) => outcome switch
    {
        Outcome.Ok => "ok",
        Outcome.Fail => "fail",
        Outcome.Info => "info",
        Outcome.Open => throw new InvalidOperationException("An open operation has no completion."),
    };

    private static string Function(OperationKind kind) => kind switch
    {
        OperationKind.Read => "read",
        OperationKind.Write => "write",
        OperationKind.Cas => "cas",
        OperationKind.Transaction => "txn",
        OperationKind.Transfer => "transfer",
        OperationKind.ReadAll => "read-all",
    };

    private void WriteValue(HistoryEntry entry, bool hasResult)
    {
        var operation = entry.Operation;
        switch (operation.Kind)
        {
            case OperationKind.Read:
                WritePair(operation.Key, hasResult ? entry.Value : null);
                break;
            case OperationKind.Write:
                WritePair(operation.Key, operation.Value);
                break;
            case OperationKind.Cas:
                _json.WriteStartArray();
                _json.WriteNumberValue(operation.Key);
                WritePair(operation.Expected, operation.Value);
                _json.WriteEndArray();
                break;
            case OperationKind.Transaction:
                WriteSteps(entry, hasResult);
                break;
            case OperationKind.Transfer:
                WriteTransfer(operation);
                break;
            default:
                WriteBalances(entry, hasResult);
                break;
        }
    }

    private void WriteSteps(HistoryEntry entry, bool hasResult)
    {
        _json.WriteStartArray();
        for (var i = 0; i < entry.Operation.Steps.Length; i++)
        {
            var step = entry.Operation.Steps[i];
            _json.WriteStartArray();
            _json.WriteStringValue(step.Appended is null ? "r" : "append");
            _json.WriteNumberValue(step.Key);
            if (step.Appended is { } value)
            {
                _json.WriteNumberValue(value);
            }
            else
            {
                WriteNumbers(hasResult ? entry.Lists[i] : null);
            }

            _json.WriteEndArray();
        }

        _json.WriteEndArray();
    }

    private void WriteTransfer(Operation operation)
    {
        _json.WriteStartObject();
        _json.WriteNumber("from", operation.From);
        _json.WriteNumber("to", operation.To);
        _json.WriteNumber("amount", operation.Value);
        if (operation.AllowsOverdraft)
        {
            _json.WriteBoolean("overdraft", true);
        }

        _json.WriteEndObject();
    }

    private void WriteBalances(HistoryEntry entry, bool hasResult)
    {
        _json.WriteStartObject();
        _json.WritePropertyName("accounts");
        WriteNumbers(hasResult ? entry.Balances : null);
        _json.WriteEndObject();
    }

    private void WriteNumbers(long[]? numbers)
    {
        if (numbers is null)
        {
            _json.WriteNullValue();
            return;
        }

        _json.WriteStartArray();
        foreach (var number in numbers)
        {
            _json.WriteNumberValue(number);
        }

        _json.WriteEndArray();
    }

    private void WritePair(long? first, long? second)
    {
        _json.WriteStartArray();
        WriteNumber(first);
        WriteNumber(second);
        _json.WriteEndArray();
    }

    private void WriteNumber(long? number)
    {
        if (number is { } known)
        {
            _json.WriteNumberValue(known);
        }
        else
        {
            _json.WriteNullValue();
        }
    }
}
