using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Dqlite.Simulation.Drive;

/// <summary>Carries out one command a line and answers each with one line: docs/formats/drive.md.</summary>
internal sealed class DriveSession(DriveCluster cluster)
{
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    // Error texts quote names; the answers are for programs and logs, not for web pages.
    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly ArrayBufferWriter<byte> _buffer = new(1024);

    /// <summary>The answer to a line; null for a blank line and for a comment.</summary>
    public string? Execute(string line)
    {
        var text = line.AsSpan().Trim();
        if (text.IsEmpty || text[0] == '#')
        {
            return null;
        }

        try
        {
            return Answer(isOk: true, json => Run(line, json));
        }
        catch (Exception refused) when (refused is DriveException or ArgumentException)
        {
            // The second: production code refuses what it was given, such as more members than can be encoded.
            return Answer(isOk: false, json => json.WriteString("error", refused.Message));
        }
        finally
        {
            cluster.FlushTrace();
        }
    }

    private void Run(string line, Utf8JsonWriter json)
    {
        using var command = Parse(line);
        var name = command.RootElement.ValueKind == JsonValueKind.Object ? new Arguments(command.RootElement, "A command").Text("cmd")
            : throw new DriveException("A command must be a JSON object.");
        if (!DriveCommands.All.TryGetValue(name, out var handler))
        {
            throw new DriveException($"Command \"{name}\" is unknown; there are {string.Join(", ", DriveCommands.All.Keys)}.");
        }

        var arguments = new Arguments(command.RootElement, $"\"{name}\"");
        arguments.Text("cmd");
        handler(cluster, arguments, json);
    }

    private static JsonDocument Parse(string line)
    {
        try
        {
            return JsonDocument.Parse(line, Strict);
        }
        catch (JsonException wrong) when (wrong.BytePositionInLine is { } position)
        {
            throw new DriveException($"The line is not JSON from byte {position} on.");
        }
        catch (Exception wrong) when (wrong is JsonException or InvalidOperationException)
        {
            throw new DriveException("A name stands twice in the line, or has half a character.");
        }
    }

    /// <summary>An answer: what the command says, the reads that it decided, and all nodes.</summary>
    private string Answer(bool isOk, Action<Utf8JsonWriter> writeResult)
    {
        _buffer.ResetWrittenCount();
        using var json = new Utf8JsonWriter(_buffer, Plain);
        json.WriteStartObject();
        json.WriteBoolean("ok", isOk);
        writeResult(json);
        if (cluster.Reads.Count > 0)
        {
            WriteReads(json);
        }

        json.WriteStartArray("nodes");
        foreach (var node in cluster.Nodes)
        {
            DriveJson.WriteNode(json, node);
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        return Encoding.UTF8.GetString(_buffer.WrittenSpan);
    }

    private void WriteReads(Utf8JsonWriter json)
    {
        json.WriteStartArray("reads");
        foreach (var (node, read) in cluster.Reads)
        {
            json.WriteStartObject();
            json.WriteNumber("node", node.Value);
            json.WriteNumber("id", read.RequestId);
            json.WriteBoolean("success", read.Success);
            json.WriteNumber("index", read.Index.Value);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        cluster.Reads.Clear();
    }
}
