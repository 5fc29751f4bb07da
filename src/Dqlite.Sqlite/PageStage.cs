using Dqlite.Sqlite.Native;

namespace Dqlite.Sqlite;

/// <summary>Pages of an entry that comes in parts. Nothing of them shows before <see cref="Apply"/>; disposed before, they never were. One thread at
/// a time.</summary>
public sealed unsafe class PageStage : IPageStage
{
    private readonly StageHandle _handle;
    private readonly PageDatabase _database;

    private PageStage(StageHandle handle, PageDatabase database)
    {
        _handle = handle;
        _database = database;
    }

    /// <summary>Adds the pages of one part.</summary>
    /// <param name="pageNumbers">Ascending, over all parts.</param>
    /// <param name="images">Their images, one after the other in that order.</param>
    /// <exception cref="ShimException">They do not ascend (code 11), or there is no memory.</exception>
    public void Add(ReadOnlySpan<uint> pageNumbers, ReadOnlySpan<byte> images)
    {
        if (images.Length != (long)pageNumbers.Length * _database.PageSize)
        {
            throw new ArgumentException($"{pageNumbers.Length} pages of {_database.PageSize} bytes do not make {images.Length} bytes.", nameof(images));
        }

        fixed (uint* numbers = pageNumbers)
        fixed (byte* bytes = images)
        {
            _database.Check(NativeMethods.StageAdd(_handle, (uint)pageNumbers.Length, numbers, bytes), "stage");
        }
    }

    /// <summary>Adds pages of a batch of the same database, without copying them.</summary>
    /// <param name="batch">Of <see cref="PageDatabase.Poll"/>.</param>
    /// <param name="first">Position of the first page.</param>
    /// <param name="count">How many.</param>
    public void AddBatch(IDraftBatch batch, int first, int count)
    {
        var drafts = batch as DraftBatch ?? throw new ArgumentException("It is no batch of the shim.", nameof(batch));
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        _database.Check(NativeMethods.StageAddBatch(_handle, drafts.Handle, (uint)first, (uint)count), "stage");
    }

    /// <summary>Raft committed the last part: all pages together become the next LSN, as by <see cref="PageDatabase.Apply"/>.</summary>
    /// <param name="pageCount">Of the database after it.</param>
    /// <param name="checksum">Of the database after it; 0: not compared.</param>
    /// <returns>The new LSN.</returns>
    /// <exception cref="ShimException">The result has another checksum (code 11); nothing moved.</exception>
    public ulong Apply(uint pageCount, ulong checksum)
    {
        _database.ThrowIfEventFailed();
        _database.Check(NativeMethods.StageApply(_handle, pageCount, checksum, out var lsn), "apply");
        return lsn;
    }

    /// <summary>Frees the pages.</summary>
    public void Dispose() => _handle.Dispose();

    internal static PageStage Adopt(nint stage, PageDatabase database)
    {
        var handle = new StageHandle();
        handle.Adopt(stage);
        return new PageStage(handle, database);
    }
}
