using System.Diagnostics.CodeAnalysis;

namespace Dqlite.Simulation.World;

/// <summary>
/// A file's content as processes see it, and as the platter has it. A sector that was written since the last sync is in <c>_pending</c>; the
/// states that it had in between are kept, since a power cut may leave it in any of them. Buffers reach up to the highest byte that was ever
/// written: what lies behind, up to the length, are zeros.
/// </summary>
/// <param name="number">The inode number.</param>
internal sealed partial class SimInode(ulong number)
{
    /// <summary>What a disk writes as a whole.</summary>
    public const int SectorBytes = 512;

    private const int FirstBufferBytes = 4096;

    /// <summary>States in between that are remembered; a file that nobody ever syncs must not grow without bound.</summary>
    private const int MaxEarlierStates = 8192;

    private readonly SectorSet _pending = new();
    private readonly SectorSet _overwrittenSectors = new();
    private readonly List<int> _earlierSectors = [];
    private readonly List<int> _rotten = [];
    private byte[] _earlierBytes = [];
    private byte[] _content = [];
    private byte[] _durable = [];
    private byte[]? _overwritten;
    private int _durableLength;
    private int _shortestLength;
    private long _durableMtimeNs;

    /// <summary>The inode number.</summary>
    public ulong Number { get; } = number;

    /// <summary>Its length, as processes see it.</summary>
    public int Length { get; private set; }

    /// <summary>Time of the last write; each write has its own.</summary>
    public long MtimeNs { get; private set; }

    /// <summary>Whether it has a name.</summary>
    public bool IsNamed { get; set; }

    /// <summary>How many open files refer to it.</summary>
    public int OpenCount { get; set; }

    /// <summary>Who holds its lock.</summary>
    public object? LockOwner { get; set; }

    /// <summary>Marks it while a power cut decides about names.</summary>
    public bool HasLostName { get; set; }

    private bool HasNewLength => Length != _durableLength || _shortestLength < _durableLength;

    /// <summary>Reads up to the end of the file.</summary>
    public int Read(Span<byte> destination, long offset)
    {
        var count = (int)Math.Clamp(Length - offset, 0, destination.Length);
        Copy(_content, destination[..count], offset);
        return count;
    }

    /// <summary>Puts what one of its sectors held before the last write into what was read.</summary>
    /// <returns>Whether that is known of the sector that chance chose.</returns>
    public bool MakeStale(Span<byte> destination, long offset, SeededRandom random)
    {
        var end = offset + destination.Length;
        if (_overwritten is null || destination.IsEmpty)
        {
            return false;
        }

        var sector = (int)random.Between(offset / SectorBytes, (end - 1) / SectorBytes);
        if (!_overwrittenSectors.Contains(sector))
        {
            return false;
        }

        var from = Math.Max((long)sector * SectorBytes, offset);
        var to = Math.Min((long)(sector + 1) * SectorBytes, end);
        Copy(_overwritten, destination[(int)(from - offset)..(int)(to - offset)], from);
        return true;
    }

    /// <summary>Writes; the file grows when need be.</summary>
    /// <param name="source">The bytes.</param>
    /// <param name="offset">Where to.</param>
    /// <param name="mtimeNs">When.</param>
    /// <param name="remembers">Whether to keep what is overwritten, for stale reads.</param>
    public void Write(ReadOnlySpan<byte> source, long offset, long mtimeNs, bool remembers)
    {
        MtimeNs = mtimeNs;
        if (source.IsEmpty)
        {
            return;
        }

        var end = checked((int)(offset + source.Length));
        Reserve(ref _content, end);
        for (var sector = (int)offset / SectorBytes; sector <= (end - 1) / SectorBytes; sector++)
        {
            if (remembers)
            {
                RememberOverwritten(sector);
            }

            if (!_pending.Add(sector) && _earlierSectors.Count < MaxEarlierStates)
            {
                KeepEarlierState(sector);
            }
        }

        source.CopyTo(_content.AsSpan((int)offset));
        Length = Math.Max(Length, end);
    }

    /// <summary>Cuts or extends.</summary>
    public void Resize(long length, long mtimeNs)
    {
        MtimeNs = mtimeNs;
        var before = Math.Min(Length, _content.Length);
        Length = checked((int)length);
        if (Length < before)
        {
            _content.AsSpan(Length, before - Length).Clear();
        }

        _shortestLength = Math.Min(_shortestLength, Length);
    }

    /// <summary>Makes durable what is pending. What an earlier sync has failed to write counts as clean, and stays lost.</summary>
    /// <param name="withMetadata">Whether the modification time too (fsync), or only what reading needs (fdatasync).</param>
    public void Sync(bool withMetadata)
    {
        CutDurable();
        foreach (var sector in _pending.InOrder)
        {
            WriteDurable(sector, _content, sector * SectorBytes);
        }

        _durableLength = Length;
        _durableMtimeNs = withMetadata ? MtimeNs : _durableMtimeNs;
        Forget();
    }

    /// <summary>A failed sync: the kernel takes the pages for clean, and nothing was written.</summary>
    public void FailSync()
    {
        // The length is of the journal, not of the pages: it stays pending.
        ForgetPages();
    }

    /// <summary>Whether a power cut now could take bytes of this range away.</summary>
    public bool HasPending(long offset, long length)
    {
        var end = (int)Math.Min(offset + length, Length);
        if (end > _durableLength || (HasNewLength && end > _shortestLength))
        {
            return true;
        }

        // A sector may wait because of other bytes in it: those of the range are safe when all that it may come back with has them.
        return !SameBytes((int)offset, end) || HasOtherEarlierState((int)offset, end);
    }

    private bool HasOtherEarlierState(int from, int to)
    {
        for (var i = 0; i < _earlierSectors.Count; i++)
        {
            var start = _earlierSectors[i] * SectorBytes;
            var (first, last) = (Math.Max(from, start), Math.Min(Math.Min(to, start + SectorBytes), _content.Length));
            if (first < last && !_content.AsSpan(first, last - first).SequenceEqual(_earlierBytes.AsSpan((i * SectorBytes) + first - start, last - first)))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>What was synced.</summary>
    public byte[] DurableImage()
    {
        var image = new byte[_durableLength];
        Copy(_durable, image, 0);
        return image;
    }

    /// <summary>Flips bits of a range, on the platter and, where nothing newer waits to be written, in what processes see.</summary>
    /// <returns>False when the range holds no durable bytes.</returns>
    public bool FlipBits(long offset, long length, int count, SeededRandom random)
    {
        var end = (int)Math.Min(offset + length, _durableLength);
        if (end <= offset)
        {
            return false;
        }

        Reserve(ref _durable, end);
        Reserve(ref _content, end);
        for (var i = 0; i < count; i++)
        {
            var position = random.Between((int)offset, end - 1);
            var mask = (byte)(1 << random.Next(8));
            _durable[position] ^= mask;
            _rotten.Add(position);
            if (position < Length && !_pending.Contains(position / SectorBytes))
            {
                _content[position] ^= mask;
            }
        }

        return true;
    }

    /// <summary>Whether bits of a range were flipped.</summary>
    public bool HasRot(long offset, long length) => _rotten.Exists(position => position >= offset && position < offset + length);

    private static void Reserve([NotNull] ref byte[]? buffer, int length)
    {
        if (buffer is null || buffer.Length < length)
        {
            Array.Resize(ref buffer, Math.Max(Math.Max(length, FirstBufferBytes), 2 * (buffer?.Length ?? 0)));
        }
    }

    private static void Copy(byte[] from, Span<byte> destination, long offset)
    {
        var count = (int)Math.Clamp(from.Length - offset, 0, destination.Length);
        if (count > 0)
        {
            from.AsSpan((int)offset, count).CopyTo(destination);
        }

        destination[count..].Clear();
    }

    private void RememberOverwritten(int sector)
    {
        _overwrittenSectors.Add(sector);
        Reserve(ref _overwritten, (sector + 1) * SectorBytes);
        Copy(_content, _overwritten.AsSpan(sector * SectorBytes, SectorBytes), sector * SectorBytes);
    }

    private void KeepEarlierState(int sector)
    {
        var start = _earlierSectors.Count * SectorBytes;
        Reserve(ref _earlierBytes, start + SectorBytes);
        Copy(_content, _earlierBytes.AsSpan(start, SectorBytes), sector * SectorBytes);
        _earlierSectors.Add(sector);
    }

    private void WriteDurable(int sector, byte[] from, int fromOffset)
    {
        Reserve(ref _durable, (sector + 1) * SectorBytes);
        Copy(from, _durable.AsSpan(sector * SectorBytes, SectorBytes), fromOffset);
    }

    /// <summary>What a truncation took away does not come back when the file has grown again.</summary>
    private void CutDurable()
    {
        var end = Math.Min(_durableLength, _durable.Length);
        if (_shortestLength < end)
        {
            _durable.AsSpan(_shortestLength, end - _shortestLength).Clear();
        }
    }

    private bool SameBytes(int from, int to)
    {
        var common = Math.Clamp(Math.Min(_content.Length, _durable.Length), from, Math.Max(from, to));
        if (common > from && !_content.AsSpan(from, common - from).SequenceEqual(_durable.AsSpan(from, common - from)))
        {
            return false;
        }

        var longer = _content.Length > _durable.Length ? _content : _durable;
        var rest = Math.Min(longer.Length, to) - common;
        return rest <= 0 || longer.AsSpan(common, rest).IndexOfAnyExcept((byte)0) < 0;
    }

    private void Forget()
    {
        ForgetPages();
        _shortestLength = Length;
    }

    private void ForgetPages()
    {
        _pending.Clear();
        _earlierSectors.Clear();
    }
}
