using Dqlite.Sqlite.Native;

namespace Dqlite.Sqlite;

/// <summary>Coalesced drafts: the last image of each page. The images lie in the version store; spans are valid until
/// <see cref="Dispose"/>, and copies of images that do not lie in memory. One thread at a time.</summary>
public sealed unsafe class DraftBatch : IDraftBatch
{
    private readonly BatchHandle _handle;
    private readonly string _path;
    private readonly NativeBatch* _batch;

    private DraftBatch(BatchHandle handle, string path)
    {
        _path = path;
        _handle = handle;
        _batch = (NativeBatch*)handle.DangerousGetHandle();
    }

    /// <summary>LSN of the first draft.</summary>
    public ulong LsnFirst => Batch->LsnFirst;

    /// <summary>LSN of the last draft.</summary>
    public ulong LsnLast => Batch->LsnLast;

    /// <summary>The term that the drafts carry.</summary>
    public long Term => checked((long)Batch->Term);

    /// <summary>Checksum of the database after <see cref="LsnLast"/>.</summary>
    public ulong Checksum => Batch->Checksum;

    /// <summary>Pages of the database after <see cref="LsnLast"/>.</summary>
    public uint PageCount => Batch->PageCount;

    /// <summary>How many page images there are.</summary>
    public int Pages => checked((int)Batch->Pages);

    /// <summary>How many drafts were coalesced.</summary>
    public int Drafts => checked((int)Batch->Drafts);

    /// <summary>Page size in bytes.</summary>
    public int PageSize => (int)Batch->PageSize;

    /// <summary>Numbers of the pages, ascending.</summary>
    public ReadOnlySpan<uint> PageNumbers => new(Batch->PageNumbers, Pages);

    private NativeBatch* Batch
    {
        get
        {
            ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
            return _batch;
        }
    }

    /// <summary>The image of a page.</summary>
    /// <param name="i">Position in <see cref="PageNumbers"/>.</param>
    public ReadOnlySpan<byte> Image(int i)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(i);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(i, Pages);
        if (_batch->Images[i] is not null)
        {
            return new ReadOnlySpan<byte>(_batch->Images[i], PageSize);
        }

        var copy = GC.AllocateUninitializedArray<byte>(PageSize);
        CopyImagesTo(i, 1, copy);
        return copy;
    }

    /// <summary>The image that a page had before the batch, as long as none of its drafts is committed.</summary>
    /// <param name="i">Position in <see cref="PageNumbers"/>.</param>
    /// <param name="destination">Exactly one page.</param>
    /// <returns>False when there is none that could be used: the page is new, or the one in the file is rotten.</returns>
    public bool TryReadBase(int i, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(i);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(i, Pages);
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, PageSize, nameof(destination));
        fixed (byte* page = destination)
        {
            return NativeMethods.BatchBase(_handle, (uint)i, page) == ShimResult.Ok;
        }
    }

    /// <summary>Copies images, one after the other.</summary>
    /// <param name="first">Position of the first one in <see cref="PageNumbers"/>.</param>
    /// <param name="count">How many.</param>
    /// <param name="destination">At least <paramref name="count"/> x PageSize bytes.</param>
    /// <exception cref="ShimException">The temporary file that large transactions lie in cannot be read, or returns other bytes than were written.</exception>
    public void CopyImagesTo(int first, int count, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((long)first + count, Pages);
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, (long)count * PageSize, nameof(destination));
        fixed (byte* bytes = destination)
        {
            ShimResult.Check(NativeMethods.BatchRead(_handle, (uint)first, (uint)count, bytes), "read draft", _path);
        }
    }

    /// <summary>Gives the references back.</summary>
    public void Dispose() => _handle.Dispose();

    internal BatchHandle Handle => _handle;

    internal static DraftBatch Adopt(nint batch, string path)
    {
        var handle = new BatchHandle();
        handle.Adopt(batch);
        return new DraftBatch(handle, path);
    }
}
