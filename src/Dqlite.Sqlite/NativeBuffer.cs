using System.Runtime.InteropServices;

namespace Dqlite.Sqlite;

/// <summary>Memory outside the managed heap, for what is large and short-lived: the large object heap keeps what it once took.</summary>
public sealed unsafe class NativeBuffer : IDisposable
{
    private readonly int _length;
    private void* _memory;

    /// <summary>Allocates it; its content is undefined.</summary>
    /// <param name="length">In bytes.</param>
    /// <exception cref="OutOfMemoryException">There is no memory.</exception>
    public NativeBuffer(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        _memory = NativeMemory.Alloc((nuint)length);
        _length = length;
    }

    /// <summary>Frees it.</summary>
    ~NativeBuffer() => Free();

    /// <summary>All of it; not to be used after <see cref="Dispose"/>.</summary>
    public Span<byte> Span
    {
        get
        {
            ObjectDisposedException.ThrowIf(_memory is null, this);
            return new Span<byte>(_memory, _length);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.Free(_memory);
        _memory = null;
    }
}
