using System.Numerics;
using Dqlite.Sqlite.Native;

namespace Dqlite.Sqlite;

/// <summary>The checksum of a page: XXH64 of the image, with the page number as its seed. That of a database is the XOR of its pages'.</summary>
public static class PageChecksum
{
    /// <summary>Computes it.</summary>
    /// <param name="pageNumber">From 1.</param>
    /// <param name="page">The whole image; its length is the page size.</param>
    public static unsafe ulong Compute(uint pageNumber, ReadOnlySpan<byte> page)
    {
        RequirePageSize(page.Length, nameof(page));
        fixed (byte* bytes = page)
        {
            return NativeMethods.PageChecksum(pageNumber, bytes, (uint)page.Length);
        }
    }

    /// <summary>Writes page 1 of an empty WAL-mode database: the same bytes on every node.</summary>
    /// <param name="destination">The page; its length is the page size.</param>
    /// <param name="autoVacuum">0 none, 1 full, 2 incremental.</param>
    public static unsafe void WriteCanonicalPage1(Span<byte> destination, uint autoVacuum)
    {
        RequirePageSize(destination.Length, nameof(destination));
        fixed (byte* bytes = destination)
        {
            ShimResult.Check(NativeMethods.CanonicalPage1(bytes, (uint)destination.Length, autoVacuum), "canonical page 1", string.Empty);
        }
    }

    internal static void RequirePageSize(int length, string name)
    {
        if (length is < 512 or > 65536 || !BitOperations.IsPow2(length))
        {
            throw new ArgumentException($"{length} is not a page size: a power of two from 512 to 65536.", name);
        }
    }
}
