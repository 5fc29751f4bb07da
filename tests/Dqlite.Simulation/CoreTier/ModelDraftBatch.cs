using Dqlite.Sqlite;

namespace Dqlite.Simulation.CoreTier;

/// <summary>Coalesced drafts. The images stay what they are whatever becomes of the store.</summary>
internal sealed class ModelDraftBatch : IDraftBatch
{
    private readonly uint[] _numbers;
    private readonly byte[][] _images;
    private bool _isDisposed;

    public ModelDraftBatch(int pageSize, PageVersion[] pages)
    {
        PageSize = pageSize;
        _numbers = Array.ConvertAll(pages, version => version.Page);
        _images = Array.ConvertAll(pages, version => version.Image ?? throw new InvalidOperationException($"A draft of page {version.Page} has no image."));
    }

    /// <inheritdoc/>
    public required ulong LsnFirst { get; init; }

    /// <inheritdoc/>
    public required ulong LsnLast { get; init; }

    /// <inheritdoc/>
    public required long Term { get; init; }

    /// <inheritdoc/>
    public required ulong Checksum { get; init; }

    /// <inheritdoc/>
    public required uint PageCount { get; init; }

    /// <inheritdoc/>
    public required int Drafts { get; init; }

    /// <inheritdoc/>
    public int Pages => PageNumbers.Length;

    /// <inheritdoc/>
    public int PageSize { get; }

    /// <inheritdoc/>
    public ReadOnlySpan<uint> PageNumbers
    {
        get
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            return _numbers;
        }
    }

    /// <inheritdoc/>
    public ReadOnlySpan<byte> Image(int i)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        return _images[i];
    }

    /// <summary>Reads a page as it was before the batch, or answers null.</summary>
    public required Func<uint, byte[]?> ReadBase { get; init; }

    /// <inheritdoc/>
    public bool TryReadBase(int i, Span<byte> destination)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        var image = ReadBase(_numbers[i]);
        image?.CopyTo(destination);
        return image is not null;
    }

    /// <inheritdoc/>
    public void CopyImagesTo(int first, int count, Span<byte> destination)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        for (var i = 0; i < count; i++)
        {
            _images[first + i].CopyTo(destination[(i * PageSize)..]);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _isDisposed = true;
}
