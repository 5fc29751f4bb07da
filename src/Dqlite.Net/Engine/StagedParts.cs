using System.Buffers;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>Parts of one transaction that were committed while its last part was not. They show nowhere, and are void once an entry of another term
/// follows. Belongs to the loop.</summary>
internal sealed class StagedParts(IPageStage pages, Term term, long firstIndex, uint pageCount) : IDisposable
{
    /// <summary>The term of all of them.</summary>
    public Term Term => term;

    /// <summary>Index of the first one.</summary>
    public long FirstIndex => firstIndex;

    /// <summary>Payload bytes.</summary>
    public long Bytes { get; set; }

    /// <summary>Index of the last one so far.</summary>
    public long LastIndex { get; set; }

    /// <summary>Whether a part follows these.</summary>
    public bool IsFollowedBy(Term nextTerm, in PartHeader next) => nextTerm == term && next.FirstIndex == firstIndex && next.PreviousIndex == LastIndex;

    /// <summary>Adds the pages of a part.</summary>
    /// <param name="entry">It.</param>
    /// <param name="header">Its header.</param>
    /// <param name="store">The database, which is as it was before the first part.</param>
    /// <exception cref="InvalidDataException">The changes of a page are damaged.</exception>
    /// <exception cref="ShimException">A changed page is not there, or rotten.</exception>
    public void Add(LogEntry entry, in PartHeader header, IPageStore store)
    {
        var payload = entry.Payload.Span;
        if (header.HasChanges)
        {
            AddChanges(payload, header, store);
        }
        else
        {
            pages.Add(PartCodec.PageNumbers(payload, header), PartCodec.Images(payload, header));
        }

        LastIndex = entry.Index.Value;
        Bytes += payload.Length;
    }

    /// <summary>The last part was added: all of them take effect.</summary>
    /// <returns>The LSN.</returns>
    public ulong Apply(ulong checksum) => pages.Apply(pageCount, checksum);

    /// <inheritdoc/>
    public void Dispose() => pages.Dispose();

    private void AddChanges(ReadOnlySpan<byte> payload, in PartHeader header, IPageStore store)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(header.Pages * header.PageSize);
        try
        {
            var images = buffer.AsSpan(0, header.Pages * header.PageSize);
            PageBodies.MakeImages(payload[PartCodec.HeaderSize..], header.Pages, store, images);
            pages.Add(PartCodec.PageNumbers(payload, header), images);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
