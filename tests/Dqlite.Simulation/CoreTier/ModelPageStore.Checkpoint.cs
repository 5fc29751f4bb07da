using Dqlite.Sqlite;
using static SQLitePCL.raw;

namespace Dqlite.Simulation.CoreTier;

// Writing versions into the file, in the shim's order: before-images of what old snapshots still read from the file; pages in runs; their
// checksums in runs; the file's end; flush of both. Only then (CheckpointDone) do images go. A failure leaves the versions where they are.
internal sealed partial class ModelPageStore
{
    private const int RunBytes = 256 * 1024;
    private const uint SumsGapPages = 64;

    private WrittenCheckpoint? _checkpoint;

    /// <summary>A checkpoint whose pages are in the file.</summary>
    private sealed record WrittenCheckpoint(ulong Lsn, uint PageCount, List<PageVersion> Pages);

    /// <inheritdoc/>
    public (uint PageCount, ulong Checksum) Checkpoint(ulong lsn, uint filedFrom = 0)
    {
        ThrowIfDisposed();
        Require(lsn <= _committed.Lsn && lsn >= _checkpointLsn, SQLITE_MISUSE, "checkpoint");
        var generation = _generation;
        Require(lsn == _committed.Lsn || generation.Versions.PointAt(lsn) is not null, ShimResult.Busy, "checkpoint");
        _checkpoint = null;
        var state = generation.Versions.PointAt(lsn);
        var pin = generation.Versions.Acquire(lsn, state?.PageCount ?? _committed.PageCount, state?.Checksum ?? _committed.Checksum);
        try
        {
            var pages = generation.Versions.Unfiled(lsn);
            var written = pages.FindAll(version => version.Page <= pin.PageCount);
            written.ForEach(version => KeepBeforeImage(generation, version.Page));
            WriteAll(generation, written, pin.PageCount, filedFrom == 0 ? uint.MaxValue : filedFrom);
            _checkpoint = new WrittenCheckpoint(lsn, pin.PageCount, pages);
            return (pin.PageCount, pin.Checksum);
        }
        finally
        {
            generation.Versions.Release(pin);
            BoundReaders();
        }
    }

    /// <inheritdoc/>
    public uint[] CheckpointPages(ulong lsn)
    {
        ThrowIfDisposed();
        return [.. _generation.Versions.Unfiled(lsn).Select(version => version.Page)];
    }

    /// <inheritdoc/>
    public void CheckpointDone(ulong lsn)
    {
        ThrowIfDisposed();
        Require(lsn != 0 && _checkpoint?.Lsn == lsn, SQLITE_MISUSE, "finish checkpoint");
        var (_, pageCount, pages) = _checkpoint!;
        foreach (var version in pages)
        {
            if (version.Page > pageCount)
            {
                _generation.Versions.Gone(version, _committed.Lsn);
            }
            else
            {
                _generation.SetFileSum(version.Page, version.Sum);
                _generation.Versions.Filed(version, _committed.Lsn);
            }
        }

        _checkpointLsn = lsn;
        _checkpoint = null;
    }

    private void KeepBeforeImage(PageGeneration generation, uint page)
    {
        if (generation.Versions.FileVersion(page) is not { } version)
        {
            return;
        }

        if (generation.Versions.ReaderOf(version) is { } reader)
        {
            generation.Versions.KeepBeforeImage(version, [.. ReadFile(generation, page, version.Sum)], reader);
        }
        else
        {
            generation.Versions.Remove(version);
        }
    }

    private void WriteAll(PageGeneration generation, List<PageVersion> pages, uint pageCount, uint filedFrom)
    {
        StoreErrors.Try(SQLITE_IOERR_WRITE, "checkpoint", Path, () =>
        {
            WritePages(generation, pages.FindAll(version => version.Page < filedFrom));
            WriteSums(generation, pages);
        });
        StoreErrors.Try(SQLITE_IOERR_TRUNCATE, "checkpoint", Path, () => Truncate(generation, pageCount));
        StoreErrors.Try(SQLITE_IOERR_FSYNC, "checkpoint", Path, () =>
        {
            generation.File.Sync();
            generation.SumsFile.DataSync();
        });
    }

    private void WritePages(PageGeneration generation, List<PageVersion> pages)
    {
        var run = new byte[Math.Min(RunBytes, pages.Count * PageSize)];
        for (var i = 0; i < pages.Count;)
        {
            var first = pages[i].Page;
            var length = 0;
            for (; i < pages.Count && length < run.Length && pages[i].Page == first + (length / PageSize); i++, length += PageSize)
            {
                pages[i].Image!.CopyTo(run, length);
            }

            generation.File.Write(run.AsSpan(0, length), (long)(first - 1) * PageSize);
        }
    }

    /// <summary>Small gaps are filled with what is there.</summary>
    private static void WriteSums(PageGeneration generation, List<PageVersion> pages)
    {
        for (var i = 0; i < pages.Count;)
        {
            var begin = i;
            var first = pages[i].Page;
            for (i++; i < pages.Count && pages[i].Page - pages[i - 1].Page <= SumsGapPages && pages[i].Page - first < RunBytes / SumsFormat.SumBytes;)
            {
                i++;
            }

            var last = pages[i - 1].Page;
            generation.ReserveSums(last);
            var sums = generation.FileSums.AsSpan((int)(first - 1), (int)(last - first + 1)).ToArray();
            for (var k = begin; k < i; k++)
            {
                sums[pages[k].Page - first] = pages[k].Sum;
            }

            generation.SumsFile.Write(SumsFormat.Encode(sums), SumsFormat.OffsetOf(first));
        }
    }

    /// <summary>The tail is cut only when no snapshot reads it; else a later checkpoint does it.</summary>
    private void Truncate(PageGeneration generation, uint pageCount)
    {
        if (generation.FilePages <= pageCount || generation.Versions.Points.Any(point => point.PageCount > pageCount))
        {
            return;
        }

        for (var page = pageCount + 1; page <= generation.FilePages; page++)
        {
            if (generation.Versions.FileVersion(page) is { } version)
            {
                generation.Versions.Remove(version);
            }
        }

        generation.FilePages = pageCount;
        generation.File.Truncate((long)pageCount * PageSize);
    }
}
