using Dqlite.Simulation.CoreTier;
using Dqlite.Simulation.World;
using Dqlite.Sqlite;
using static Dqlite.Simulation.Tests.CoreTier.StoreBed;

namespace Dqlite.Simulation.Tests.CoreTier;

/// <summary>The store against a model of its own: whole copies of every state.</summary>
public sealed class ModelPageStoreRandomTests
{
    private const int MaxPages = 40;

    private SeededRandom _random = null!;
    private StoreBed _bed = null!;
    private List<(IPageSnapshot Snapshot, byte[][] Pages)> _snapshots = null!;
    private List<(StoreHandle Handle, byte[][] Pages)> _readers = null!;
    private List<(ulong Lsn, byte[][] Pages)> _drafts = null!;
    private byte[][] _committed = null!;
    private long _term;
    private ulong _lastLsn;

    private byte[][] Newest => _drafts.Count > 0 ? _drafts[^1].Pages : _committed;

    [Test]
    public void Every_state_is_what_was_written_whatever_happens_around_it([Range(1, 30)] int seed)
    {
        _random = new SeededRandom((ulong)seed);
        _bed = new StoreBed((ulong)seed);
        _snapshots = [];
        _readers = [];
        _drafts = [];
        _committed = [.. _bed.Store.CopyCommitted().Chunk(PageSize)];
        _term = 0;
        _lastLsn = 1;
        Reopen();
        for (var i = 0; i < 400; i++)
        {
            Step();
            Compare($"seed {seed}, step {i}");
        }

        _bed.Dispose();
    }

    private void Step()
    {
        switch (_random.Next(14))
        {
            case 0 or 1 or 2 when _term != 0:
                Draft();
                break;
            case 3 or 4 when _drafts.Count > 0:
                Commit();
                break;
            case 5 when _term != 0:
                _bed.Store.Fence(0);
                _drafts.Clear();
                _term = 0;
                break;
            case 0 or 1 or 2 or 3 when _term == 0:
                Apply();
                break;
            case 5 or 6 when _term == 0:
                Reopen();
                break;
            case 7:
                _snapshots.Add((_bed.Store.OpenSnapshot(), _committed));
                break;
            case 8:
                var reader = new StoreHandle(_bed.Store);
                reader.BeginRead();
                _readers.Add((reader, _committed));
                break;
            case 9 when _snapshots.Count > 0:
                var at = _random.Next(_snapshots.Count);
                _snapshots[at].Snapshot.Dispose();
                _snapshots.RemoveAt(at);
                break;
            case 10 when _readers.Count > 0:
                at = _random.Next(_readers.Count);
                _readers[at].Handle.Dispose();
                _readers.RemoveAt(at);
                break;
            case 11 or 12:
                Checkpoint();
                break;
        }
    }

    private void Draft()
    {
        using var writer = _bed.BeginWrite();
        for (uint page = 1; page <= Newest.Length; page++)
        {
            Assert.That(writer.Read(page).SequenceEqual(Newest[page - 1]), Is.True, $"page {page} of the newest draft");
        }

        var (pages, after) = Change(Newest);
        _lastLsn++;
        Assert.That(writer.Draft(Array.ConvertAll(pages, page => PageVersion.Of(page.Page, page.Image)), (uint)after.Length), Is.EqualTo(_lastLsn));
        _drafts.Add((_lastLsn, after));
    }

    /// <summary>The oldest drafts, as one entry.</summary>
    private void Commit()
    {
        _bed.Store.Poll(_random.Next(20_000))?.Dispose();
        var polled = _drafts.Count - (int)_bed.Store.State.QueuedDrafts;
        if (polled > 0)
        {
            var last = _random.Next(polled);
            _bed.Store.Commit(_drafts[last].Lsn);
            _committed = _drafts[last].Pages;
            _drafts.RemoveRange(0, last + 1);
        }
    }

    private void Apply()
    {
        var (pages, after) = Change(_committed);
        var images = pages.SelectMany(page => page.Image).ToArray();
        _lastLsn++;
        Assert.That(_bed.Store.Apply(Array.ConvertAll(pages, page => page.Page), images, (uint)after.Length, ChecksumOf(after)), Is.EqualTo(_lastLsn));
        _committed = after;
    }

    /// <summary>Of the committed state, or of one that a snapshot holds.</summary>
    private void Checkpoint()
    {
        var lsn = _bed.Store.State.CommittedLsn;
        if (_snapshots.Count > 0 && _random.Chance(0.5))
        {
            var held = _snapshots[_random.Next(_snapshots.Count)].Snapshot.Lsn;
            lsn = held >= _bed.Store.State.CheckpointLsn ? held : lsn;
        }

        _bed.Store.Checkpoint(lsn);
        _bed.Store.CheckpointDone(lsn);
    }

    private void Reopen() => _bed.Store.Lead(++_term);

    private ((uint Page, byte[] Image)[] Pages, byte[][] After) Change(byte[][] before)
    {
        var after = new byte[_random.Between(1, MaxPages)][];
        var pages = new List<(uint, byte[])>();
        for (var i = 0; i < after.Length; i++)
        {
            var isWritten = i == 0 || i >= before.Length || _random.Chance(0.15);
            after[i] = isWritten ? Image((uint)i + 1, _random.NextBits()) : before[i];
            if (isWritten)
            {
                pages.Add(((uint)i + 1, after[i]));
            }
        }

        return ([.. pages], after);
    }

    private void Compare(string where)
    {
        var state = _bed.Store.State;
        Assert.That((state.Checksum, state.PageCount, state.LastLsn), Is.EqualTo((ChecksumOf(_committed), (uint)_committed.Length, _lastLsn)), where);
        Assert.That(state.DraftLsn, Is.EqualTo(_drafts.Count > 0 ? _drafts[^1].Lsn : state.CommittedLsn), where);
        Assert.That(_bed.Store.CopyCommitted().AsSpan().SequenceEqual(_committed.SelectMany(page => page).ToArray()), Is.True, where);
        foreach (var (snapshot, pages) in _snapshots)
        {
            Assert.That(Enumerable.Range(1, pages.Length).All(page => ReadPage(snapshot, (uint)page).AsSpan().SequenceEqual(pages[page - 1])), Is.True, where);
        }

        foreach (var (reader, pages) in _readers)
        {
            Assert.That(Enumerable.Range(1, pages.Length).All(page => reader.Read((uint)page).SequenceEqual(pages[page - 1])), Is.True, where);
        }

        if (_snapshots.Count + _readers.Count + _drafts.Count == 0)
        {
            Assert.That(state.VersionBytes, Is.LessThanOrEqualTo((ulong)(MaxPages * PageSize)), $"{where}: nobody needs an older version");
        }
    }

    private static ulong ChecksumOf(byte[][] pages)
    {
        ulong checksum = 0;
        for (var i = 0; i < pages.Length; i++)
        {
            checksum ^= PageChecksum.Compute((uint)i + 1, pages[i]);
        }

        return checksum;
    }
}
