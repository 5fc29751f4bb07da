using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Dqlite.Simulation.Cluster;

/// <summary>What happened, in order: its hash tells whether two runs were the same; its tail is what a failure prints.</summary>
internal sealed class EventLog(Func<long> clock, bool keepsText) : IDisposable
{
    private const int TailLines = 60;

    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly Queue<string> _tail = new();
    private readonly byte[] _buffer = new byte[8192];
    private int _used;

    /// <summary>Whether somebody reads the texts.</summary>
    public bool KeepsText => keepsText;

    /// <summary>The last events, when texts are kept.</summary>
    public IReadOnlyCollection<string> Tail => _tail;

    /// <summary>Gets every text, when texts are kept.</summary>
    public Action<string>? Sink { get; set; }

    /// <summary>Something happened.</summary>
    public void Add(char kind, long a, long b = 0, long c = 0)
    {
        if (_used + 40 > _buffer.Length)
        {
            Flush();
        }

        var span = _buffer.AsSpan(_used);
        BinaryPrimitives.WriteInt64LittleEndian(span, clock());
        BinaryPrimitives.WriteInt64LittleEndian(span[8..], kind);
        BinaryPrimitives.WriteInt64LittleEndian(span[16..], a);
        BinaryPrimitives.WriteInt64LittleEndian(span[24..], b);
        BinaryPrimitives.WriteInt64LittleEndian(span[32..], c);
        _used += 40;
    }

    /// <summary>Something happened that a reader wants to know of.</summary>
    public void Say(string text)
    {
        Flush();
        _hash.AppendData(Encoding.UTF8.GetBytes(text));
        Add('t', 0);
        if (!keepsText)
        {
            return;
        }

        var line = $"{clock() / 1e9,10:0.000000} {text}";
        Sink?.Invoke(line);
        _tail.Enqueue(line);
        if (_tail.Count > TailLines)
        {
            _tail.Dequeue();
        }
    }

    /// <summary>64 hexadecimal digits.</summary>
    public string Hash()
    {
        Flush();
        return Convert.ToHexStringLower(_hash.GetCurrentHash());
    }

    /// <inheritdoc/>
    public void Dispose() => _hash.Dispose();

    private void Flush()
    {
        _hash.AppendData(_buffer, 0, _used);
        _used = 0;
    }
}
