using Dqlite.Sqlite;

namespace Dqlite.Simulation.CoreTier;

/// <summary>Pages of an entry that comes in parts.</summary>
internal sealed class ModelPageStage(ModelPageStore store) : IPageStage
{
    private readonly List<uint> _numbers = [];
    private readonly List<byte> _images = [];
    private bool _isDisposed;

    /// <inheritdoc/>
    public void Add(ReadOnlySpan<uint> pageNumbers, ReadOnlySpan<byte> images)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        foreach (var number in pageNumbers)
        {
            StoreErrors.Require(_numbers.Count == 0 || _numbers[^1] < number, SQLitePCL.raw.SQLITE_CORRUPT, "stage", store.Path);
            _numbers.Add(number);
        }

        _images.AddRange(images);
    }

    /// <inheritdoc/>
    public void AddBatch(IDraftBatch batch, int first, int count)
    {
        var images = new byte[count * batch.PageSize];
        batch.CopyImagesTo(first, count, images);
        Add(batch.PageNumbers.Slice(first, count), images);
    }

    /// <inheritdoc/>
    public ulong Apply(uint pageCount, ulong checksum)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        var lsn = store.Apply(_numbers.ToArray(), _images.ToArray(), pageCount, checksum);
        _numbers.Clear();
        _images.Clear();
        return lsn;
    }

    /// <inheritdoc/>
    public void Dispose() => _isDisposed = true;
}
