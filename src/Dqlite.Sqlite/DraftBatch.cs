using Dqlite.Sqlite.Native;

namespace Dqlite.Sqlite;

/// <summary>Coalesced drafts: the last image of each page. The images lie in the version store; spans are valid until
/// <see cref="Dispose"/>. One thread at a time.</summary>
public sealed unsafe class DraftBatch : IDraftBatch
{
    private readonly BatchHandle _handle;
    private readonly NativeBatch* _batch;

    private DraftBatch(BatchHandle handle)
    {
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
        return new ReadOnlySpan<byte>(_batch->Images[i], PageSize);
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

    /// <summary>Copies all images, one after the other.</summary>
    /// <param name="destination">At least Pages x PageSize bytes.</param>
    public void CopyImagesTo(Span<byte> destination)
    {
        var size = PageSize;
        for (var i = 0; i < Pages; i++)
        {
            Image(i).CopyTo(destination[(i * size)..]);
        }
    }

    /// <summary>Gives the references back.</summary>
    public void Dispose() => _handle.Dispose();

    internal static DraftBatch Adopt(nint batch)
    {
        var handle = new BatchHandle();
        handle.Adopt(batch);
        return new DraftBatch(handle);
    }
}
