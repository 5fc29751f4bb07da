using Dqlite.Sqlite;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.CoreTier;

/// <summary>
/// The store's side of one connection of the library's kind: its snapshot, its right to write, and what a fence makes of it (section 6 of
/// native/dqlite_shim.h).
/// <code>
///   idle ──BeginRead──> reading ──End──> idle
///    └────BeginWrite──> writing ──Draft, End──> idle
/// </code>
/// Errors are <see cref="ShimException"/>; the transaction that gets one must be ended.
/// </summary>
internal sealed class StoreHandle : IDisposable
{
    private readonly ModelPageStore _store;
    private ulong _seenLsn;
    private int _slotCode;
    private bool _isWriting;

    /// <summary>Opens a handle.</summary>
    /// <exception cref="ObjectDisposedException">The store is closed.</exception>
    public StoreHandle(ModelPageStore store)
    {
        _store = store;
        store.Add(this);
    }

    /// <summary>What it reads.</summary>
    public PageView View { get; } = new(isConnection: true);

    /// <summary>0, or the code that it answers for good.</summary>
    public int DeadCode { get; private set; }

    /// <summary>Pages of the state that it reads.</summary>
    public uint PageCount => View.Point?.PageCount ?? 0;

    /// <summary>Takes the committed state.</summary>
    public void BeginRead() => Begin(_store.CommittedLsn);

    /// <summary>Takes the newest draft's state, with the slot that the ticket holds.</summary>
    public void BeginWrite(ulong ticket)
    {
        Require(DeadCode == 0, DeadCode);
        Require(_store.Slot.IsHeldBy(ticket), _store.IsLeading ? ShimResult.Busy : ShimResult.NotLeader);
        _store.Slot.Arm(this);
        _slotCode = 0;
        Begin(_store.DraftLsn);
        _isWriting = true;
    }

    /// <summary>A page of the state; the bytes are valid until the next page is read.</summary>
    public ReadOnlySpan<byte> Read(uint page)
    {
        RequireUsable();
        return _store.Read(View, page);
    }

    /// <summary>The commit point: the pages become a draft, and the slot is free.</summary>
    /// <returns>The draft's LSN.</returns>
    public ulong Draft(PageVersion[] pages, uint pageCount)
    {
        RequireUsable();
        Require(_store.IsLeading, ShimResult.NotLeader);
        Require(_store.Slot.IsHeldBy(this), _slotCode != 0 ? _slotCode : ShimResult.SlotRevoked);
        if (!_isWriting || View.Point is null || View.Lsn != _store.DraftLsn)
        {
            throw new InvalidOperationException($"A transaction at state {View.Lsn} would overwrite state {_store.DraftLsn} of database '{_store.Path}'.");
        }

        var lsn = _store.MakeDraft(pages, pageCount);
        _seenLsn = lsn;
        End();
        return lsn;
    }

    /// <summary>Ends what runs; the slot is free.</summary>
    public void End()
    {
        _isWriting = false;
        ModelPageStore.EndView(View);
        _store.FreeSlotOf(this);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        End();
        _store.Remove(this);
    }

    /// <summary>
    /// The drafts above the committed state are dropped. Who may have seen one that changed the schema is dead: another draft can get the same
    /// cookie for another schema.
    /// </summary>
    internal void OnFence(ulong committed, ulong firstSchemaChange)
    {
        if (_seenLsn <= committed)
        {
            return;
        }

        DeadCode = _seenLsn >= firstSchemaChange ? ShimResult.LeadershipLost : DeadCode;
        _seenLsn = committed;
        if (View.Point is not null && View.Lsn > committed)
        {
            ModelPageStore.EndView(View);
            View.RevokedCode = ShimResult.LeadershipLost;
        }
    }

    /// <summary>The slot was taken away: the running transaction can no longer draft.</summary>
    internal void OnSlotLost(int code)
    {
        _slotCode = code;
        if (_isWriting && View.RevokedCode == 0)
        {
            View.RevokedCode = code;
        }
    }

    /// <summary>The store was closed.</summary>
    internal void OnClosed(ulong committed)
    {
        DeadCode = ShimResult.NotLeader;
        if (View.Lsn > committed)
        {
            ModelPageStore.EndView(View);
        }

        View.RevokedCode = ShimResult.NotLeader;
    }

    private void Begin(ulong lsn)
    {
        Require(DeadCode == 0, DeadCode);
        Require(_store.ServingCode == ShimResult.Ok, _store.ServingCode);
        _store.BeginView(View, lsn);
        _seenLsn = Math.Max(_seenLsn, lsn);
    }

    /// <summary>The running transaction must not have been revoked.</summary>
    public void RequireUsable()
    {
        Require(DeadCode == 0, DeadCode);
        Require(View.RevokedCode == 0, View.RevokedCode);
    }

    private void Require(bool condition, int code) => StoreErrors.Require(condition, code, "use a connection", _store.Path);
}
