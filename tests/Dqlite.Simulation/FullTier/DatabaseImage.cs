using System.Buffers.Binary;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.FullTier;

/// <summary>The pages of a database.</summary>
internal static class DatabaseImage
{
    /// <summary>All pages of a state, one after the other, behind their number.</summary>
    public static byte[] Read(IPageSnapshot snapshot)
    {
        var size = snapshot.PageSize;
        var image = new byte[4 + ((long)snapshot.PageCount * size)];
        BinaryPrimitives.WriteUInt32LittleEndian(image, snapshot.PageCount);
        for (var page = 1u; page <= snapshot.PageCount; page++)
        {
            snapshot.ReadPage(page, image.AsSpan(4 + checked((int)(page - 1) * size), size));
        }

        return image;
    }

    /// <summary>Reads every page, wherever it is kept, and compares the checksum of all with the one that the nodes agree on.</summary>
    /// <returns>Null, or what is wrong.</returns>
    public static string? Check(IPageStore pages)
    {
        using var snapshot = pages.OpenSnapshot();
        var page = new byte[snapshot.PageSize];
        var checksum = 0UL;
        for (var number = 1u; number <= snapshot.PageCount; number++)
        {
            try
            {
                snapshot.ReadPage(number, page);
            }
            catch (ShimException e)
            {
                return e.Message;
            }

            // The lock page does not occur: it lies at 1 GiB.
            checksum ^= PageChecksum.Compute(number, page);
        }

        return checksum == snapshot.Checksum
            ? null
            : $"the pages at LSN {snapshot.Lsn} have the checksum {checksum:x16}, and {snapshot.Checksum:x16} is recorded";
    }
}
