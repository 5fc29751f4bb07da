using Dqlite.Simulation.CoreTier;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.Tests.CoreTier;

/// <summary>A model page store on a simulated machine, with a record of its events.</summary>
internal sealed class StoreBed : IPageDatabaseEvents, IDisposable
{
    internal const int PageSize = 512;

    private readonly ModelPageStores _stores;
    private ulong _lastTicket;

    internal StoreBed(ulong seed = 1, Func<PageDatabaseOptions, PageDatabaseOptions>? configure = null)
    {
        Machine = new Machine(1, new SeededRandom(seed));
        _stores = new ModelPageStores(Machine.Disk);
        var checksum = _stores.CreateFiles(Path, SumsPath, PageSize, 0);
        Machine.Disk.SyncDirectory(Machine.Disk.Root);
        var options = new PageDatabaseOptions { Path = Path, SumsPath = SumsPath, PageSize = PageSize, PageCount = 1, Checksum = checksum };
        Options = configure?.Invoke(options) ?? options;
        Store = Open(Options);
    }

    internal Machine Machine { get; }

    internal string Path => Machine.Disk.Root + "/test.db";

    internal string SumsPath => Machine.Disk.Root + "/test.sums";

    internal PageDatabaseOptions Options { get; }

    internal ModelPageStore Store { get; private set; }

    internal IPageStoreFactory Stores => _stores;

    internal int DraftEvents { get; private set; }

    internal List<(ulong Ticket, int Code)> SlotEvents { get; } = [];

    internal List<uint> RotEvents { get; } = [];

    internal Action? DuringOnDraft { get; set; }

    internal Action? DuringOnSlot { get; set; }

    public void OnDraft()
    {
        DraftEvents++;
        DuringOnDraft?.Invoke();
    }

    public void OnSlot(ulong ticket, int resultCode)
    {
        SlotEvents.Add((ticket, resultCode));
        DuringOnSlot?.Invoke();
    }

    public int ReadBarrier() => ShimResult.Ok;

    public void OnRot(uint pageNumber) => RotEvents.Add(pageNumber);

    /// <summary>Page 1 as SQLite would have it, with a schema cookie and something of its own; other pages are full of it.</summary>
    internal static byte[] Image(uint page, ulong content, byte cookie = 0)
    {
        var image = new byte[PageSize];
        new SeededRandom(content).Fill(image);
        if (page == 1)
        {
            PageChecksum.WriteCanonicalPage1(image, 0);
            image[43] = cookie;
            BitConverter.TryWriteBytes(image.AsSpan(200), content);
        }

        return image;
    }

    internal ModelPageStore Open(PageDatabaseOptions options)
    {
        Store = (ModelPageStore)_stores.Open(options, this);
        Store.SetServing(ShimResult.Ok);
        return Store;
    }

    /// <summary>A handle that writes at the draft head.</summary>
    internal StoreHandle BeginWrite(StoreHandle? handle = null)
    {
        handle ??= new StoreHandle(Store);
        Assert.That(Store.RequestSlot(++_lastTicket), Is.EqualTo(ShimResult.Ok));
        handle.BeginWrite(_lastTicket);
        return handle;
    }

    /// <summary>A transaction that writes these pages.</summary>
    internal ulong Draft(uint pageCount, params (uint Page, byte[] Image)[] pages)
    {
        using var handle = BeginWrite();
        return handle.Draft(Array.ConvertAll(pages, page => PageVersion.Of(page.Page, page.Image)), pageCount);
    }

    /// <summary>A draft that is polled and committed at once.</summary>
    internal ulong Write(uint pageCount, params (uint Page, byte[] Image)[] pages)
    {
        Draft(pageCount, pages);
        using var batch = Store.Poll(long.MaxValue)!;
        Store.Commit(batch.LsnLast);
        return batch.LsnLast;
    }

    /// <summary>What is drafted so far, as one entry.</summary>
    internal Entry Poll()
    {
        using var batch = Store.Poll(long.MaxValue)!;
        var images = new byte[batch.Pages * PageSize];
        batch.CopyImagesTo(0, batch.Pages, images);
        return new Entry(batch.LsnLast, batch.PageNumbers.ToArray(), images, batch.PageCount, batch.Checksum);
    }

    internal void Checkpoint()
    {
        var lsn = Store.State.CommittedLsn;
        Store.Checkpoint(lsn);
        Store.CheckpointDone(lsn);
    }

    internal static byte[] ReadPage(IPageSnapshot snapshot, uint page)
    {
        var image = new byte[PageSize];
        snapshot.ReadPage(page, image);
        return image;
    }

    public void Dispose() => Store.Dispose();

    /// <summary>What travels from node to node.</summary>
    internal sealed record Entry(ulong Lsn, uint[] Numbers, byte[] Images, uint PageCount, ulong Checksum)
    {
        internal ulong ApplyTo(IPageStore store, bool isVerified = true) => store.Apply(Numbers, Images, PageCount, isVerified ? Checksum : 0);
    }
}
