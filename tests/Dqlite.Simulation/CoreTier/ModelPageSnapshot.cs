using Dqlite.Sqlite;

namespace Dqlite.Simulation.CoreTier;

/// <summary>A consistent view of a database, pinned until disposed; see <see cref="PageSnapshot"/>.</summary>
internal sealed class ModelPageSnapshot(ModelPageStore store, PageView view, uint pageCount, ulong checksum) : IPageSnapshot
{
    private bool _isDisposed;

    /// <inheritdoc/>
    public ulong Lsn => view.Lsn;

    /// <inheritdoc/>
    public uint PageCount => pageCount;

    /// <inheritdoc/>
    public ulong Checksum => checksum;

    /// <inheritdoc/>
    public int PageSize => store.PageSize;

    /// <inheritdoc/>
    public void ReadPage(uint pageNumber, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfZero(pageNumber);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(pageNumber, PageCount);
        if (destination.Length != PageSize)
        {
            throw new ArgumentException($"The buffer has {destination.Length} bytes, a page {PageSize}.", nameof(destination));
        }

        ObjectDisposedException.ThrowIf(_isDisposed, this);
        store.Read(view, pageNumber).CopyTo(destination);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            store.Remove(view);
        }
    }
}
