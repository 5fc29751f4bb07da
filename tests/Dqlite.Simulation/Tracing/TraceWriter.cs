using System.Buffers;
using System.Text.Json;

namespace Dqlite.Simulation.Tracing;

/// <summary>
/// Writes the events of the cores of a run, one JSON object a line: docs/formats/trace.md. All nodes of a run share one writer, so that
/// the order of the lines is the order of the events.
/// </summary>
internal sealed class TraceWriter : IDisposable
{
    /// <summary>Tag of the events that the trace validation of etcd/raft knows.</summary>
    public const string CommonTag = "trace";

    /// <summary>Tag of the events that only this implementation has.</summary>
    public const string OwnTag = "dqlite";

    private readonly Stream _stream;
    private readonly Func<long> _nowNs;
    private readonly ArrayBufferWriter<byte> _buffer = new(512);
    private readonly Utf8JsonWriter _json;
    private long _sequence;

    /// <summary>Takes the stream over.</summary>
    public TraceWriter(Stream stream, Func<long> nowNs)
    {
        _stream = stream;
        _nowNs = nowNs;
        _json = new Utf8JsonWriter(_buffer);
    }

    /// <summary>An observer for one node; it serves the node's whole life, restarts included.</summary>
    public ICoreObserver Observe() => new NodeTrace(this);

    /// <summary>Begins a line; the caller writes the fields of the event.</summary>
    public Utf8JsonWriter Begin(string tag)
    {
        _json.WriteStartObject();
        _json.WriteString("tag", tag);
        _json.WriteNumber("seq", ++_sequence);
        _json.WriteNumber("time", _nowNs());
        _json.WriteStartObject("event");
        return _json;
    }

    /// <summary>Ends the line.</summary>
    public void End()
    {
        _json.WriteEndObject();
        _json.WriteEndObject();
        _json.Flush();
        _buffer.Write("\n"u8);
        _stream.Write(_buffer.WrittenSpan);
        _buffer.ResetWrittenCount();
        _json.Reset();
    }

    /// <summary>Hands what was written to the file.</summary>
    public void Flush() => _stream.Flush();

    /// <inheritdoc/>
    public void Dispose()
    {
        _json.Dispose();
        _stream.Dispose();
    }
}
