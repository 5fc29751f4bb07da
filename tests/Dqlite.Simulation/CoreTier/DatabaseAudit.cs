using Dqlite.Simulation.Workload;
using Dqlite.Sqlite;

namespace Dqlite.Simulation.CoreTier;

/// <summary>Looks for damage in the committed state of one database.</summary>
internal static class DatabaseAudit
{
    /// <summary>Null, or what is wrong.</summary>
    public static string? Run(ModelPageStore store)
    {
        try
        {
            var image = store.CopyCommitted();
            var pageSize = store.PageSize;
            var checksum = ChecksumOf(image, pageSize);
            if (checksum != store.State.Checksum)
            {
                return $"the pages have checksum {checksum:x16} together, not {store.State.Checksum:x16}";
            }

            var pages = new TransactionPages(page => image.AsSpan((int)(page - 1) * pageSize, pageSize), pageSize, store.State.PageCount, isWritable: false);
            new Application(pages).Check();
            return null;
        }
        catch (Exception exception) when (exception is ShimException or SimDatabaseException)
        {
            return exception.Message;
        }
    }

    private static ulong ChecksumOf(byte[] image, int pageSize)
    {
        ulong checksum = 0;
        for (uint page = 1; (page - 1) * (long)pageSize < image.Length; page++)
        {
            checksum ^= XxHash64.OfPage(page, image.AsSpan((int)(page - 1) * pageSize, pageSize));
        }

        return checksum;
    }
}
