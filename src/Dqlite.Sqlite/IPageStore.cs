namespace Dqlite.Sqlite;

/// <summary>What a replicated node needs of the page version store of one database: <see cref="PageDatabase"/>, or a model of it in a simulator.
/// The members are those of <see cref="PageDatabase"/>, which says what they do.</summary>
public interface IPageStore : IDisposable
{
    /// <inheritdoc cref="PageDatabase.Path"/>
    string Path { get; }

    /// <inheritdoc cref="PageDatabase.PageSize"/>
    int PageSize { get; }

    /// <inheritdoc cref="PageDatabase.EventFailure"/>
    Exception? EventFailure { get; }

    /// <inheritdoc cref="PageDatabase.State"/>
    PageDatabaseState State { get; }

    /// <inheritdoc cref="PageDatabase.SetServing"/>
    void SetServing(int resultCode);

    /// <inheritdoc cref="PageDatabase.SetDrafting"/>
    void SetDrafting(int resultCode);

    /// <inheritdoc cref="PageDatabase.SetLease"/>
    void SetLease(long deadlineNs);

    /// <inheritdoc cref="PageDatabase.Lead"/>
    void Lead(long term);

    /// <inheritdoc cref="PageDatabase.Fence"/>
    void Fence(ulong proposedLsn);

    /// <inheritdoc cref="PageDatabase.Resolve"/>
    void Resolve(ulong first, ulong last, bool committed);

    /// <inheritdoc cref="PageDatabase.Poll"/>
    IDraftBatch? Poll(long maxBytes);

    /// <inheritdoc cref="PageDatabase.Commit"/>
    void Commit(ulong lsn);

    /// <inheritdoc cref="PageDatabase.Apply"/>
    ulong Apply(ReadOnlySpan<uint> pageNumbers, ReadOnlySpan<byte> images, uint pageCount, ulong checksum);

    /// <inheritdoc cref="PageDatabase.ReadPage"/>
    void ReadPage(uint pageNumber, Span<byte> destination);

    /// <inheritdoc cref="PageDatabase.OpenStage"/>
    IPageStage OpenStage();

    /// <inheritdoc cref="PageDatabase.Checkpoint"/>
    (uint PageCount, ulong Checksum) Checkpoint(ulong lsn, uint filedFrom = 0);

    /// <inheritdoc cref="PageDatabase.CheckpointPages"/>
    uint[] CheckpointPages(ulong lsn);

    /// <inheritdoc cref="PageDatabase.CheckpointDone"/>
    void CheckpointDone(ulong lsn);

    /// <inheritdoc cref="PageDatabase.Reopen"/>
    void Reopen(uint pageCount, ulong checksum);

    /// <inheritdoc cref="PageDatabase.OpenSnapshot"/>
    IPageSnapshot OpenSnapshot();

    /// <inheritdoc cref="PageDatabase.RequestSlot"/>
    int RequestSlot(ulong ticket);

    /// <inheritdoc cref="PageDatabase.CancelSlot"/>
    bool CancelSlot(ulong ticket);

    /// <inheritdoc cref="PageDatabase.ReleaseSlot"/>
    void ReleaseSlot(ulong ticket);

    /// <inheritdoc cref="PageDatabase.RevokeSlot"/>
    bool RevokeSlot(ulong ticket, int resultCode);
}

/// <summary>See <see cref="PageSnapshot"/>.</summary>
public interface IPageSnapshot : IDisposable
{
    /// <inheritdoc cref="PageSnapshot.Lsn"/>
    ulong Lsn { get; }

    /// <inheritdoc cref="PageSnapshot.PageCount"/>
    uint PageCount { get; }

    /// <inheritdoc cref="PageSnapshot.Checksum"/>
    ulong Checksum { get; }

    /// <inheritdoc cref="PageSnapshot.PageSize"/>
    int PageSize { get; }

    /// <inheritdoc cref="PageSnapshot.ReadPage"/>
    void ReadPage(uint pageNumber, Span<byte> destination);
}

/// <summary>See <see cref="DraftBatch"/>.</summary>
public interface IDraftBatch : IDisposable
{
    /// <inheritdoc cref="DraftBatch.LsnFirst"/>
    ulong LsnFirst { get; }

    /// <inheritdoc cref="DraftBatch.LsnLast"/>
    ulong LsnLast { get; }

    /// <inheritdoc cref="DraftBatch.Term"/>
    long Term { get; }

    /// <inheritdoc cref="DraftBatch.Checksum"/>
    ulong Checksum { get; }

    /// <inheritdoc cref="DraftBatch.PageCount"/>
    uint PageCount { get; }

    /// <inheritdoc cref="DraftBatch.Pages"/>
    int Pages { get; }

    /// <inheritdoc cref="DraftBatch.Drafts"/>
    int Drafts { get; }

    /// <inheritdoc cref="DraftBatch.PageSize"/>
    int PageSize { get; }

    /// <inheritdoc cref="DraftBatch.PageNumbers"/>
    ReadOnlySpan<uint> PageNumbers { get; }

    /// <inheritdoc cref="DraftBatch.Image"/>
    ReadOnlySpan<byte> Image(int i);

    /// <inheritdoc cref="DraftBatch.TryReadBase"/>
    bool TryReadBase(int i, Span<byte> destination);

    /// <inheritdoc cref="DraftBatch.CopyImagesTo"/>
    void CopyImagesTo(int first, int count, Span<byte> destination);
}

/// <summary>See <see cref="PageStage"/>.</summary>
public interface IPageStage : IDisposable
{
    /// <inheritdoc cref="PageStage.Add"/>
    void Add(ReadOnlySpan<uint> pageNumbers, ReadOnlySpan<byte> images);

    /// <inheritdoc cref="PageStage.AddBatch"/>
    void AddBatch(IDraftBatch batch, int first, int count);

    /// <inheritdoc cref="PageStage.Apply"/>
    ulong Apply(uint pageCount, ulong checksum);
}

/// <summary>See <see cref="DatabaseFileBuilder"/>.</summary>
public interface IDatabaseFileBuilder : IDisposable
{
    /// <inheritdoc cref="DatabaseFileBuilder.WritePage"/>
    void WritePage(uint pageNumber, ReadOnlySpan<byte> image);

    /// <inheritdoc cref="DatabaseFileBuilder.Finish"/>
    ulong Finish(uint pageCount);
}

/// <summary>Makes page stores and their files.</summary>
public interface IPageStoreFactory
{
    /// <inheritdoc cref="PageDatabase.CreateFiles"/>
    ulong CreateFiles(string path, string sumsPath, int pageSize, uint autoVacuum);

    /// <inheritdoc cref="PageDatabase.Open"/>
    IPageStore Open(PageDatabaseOptions options, IPageDatabaseEvents events);

    /// <inheritdoc cref="DatabaseFileBuilder.Open"/>
    IDatabaseFileBuilder Build(string databasePath, string sumsPath, int pageSize);
}

/// <summary>The page stores of the shim, which SQLite reads and writes through.</summary>
public sealed class ShimPageStores : IPageStoreFactory
{
    /// <summary>The one object.</summary>
    public static ShimPageStores Instance { get; } = new();

    /// <inheritdoc/>
    public ulong CreateFiles(string path, string sumsPath, int pageSize, uint autoVacuum) => PageDatabase.CreateFiles(path, sumsPath, pageSize, autoVacuum);

    /// <inheritdoc/>
    public IPageStore Open(PageDatabaseOptions options, IPageDatabaseEvents events) => PageDatabase.Open(options, events);

    /// <inheritdoc/>
    public IDatabaseFileBuilder Build(string databasePath, string sumsPath, int pageSize) => DatabaseFileBuilder.Open(databasePath, sumsPath, pageSize);
}
