using static Dqlite.Sqlite.Tests.TestDatabase;

namespace Dqlite.Sqlite.Tests;

/// <summary>A failing disk under the page store.</summary>
public sealed class PageDatabaseFaultTests
{
    private const int Eio = 5;

    [TestCase(nameof(ShimOperation.Write))]
    [TestCase(nameof(ShimOperation.Sync))]
    public void A_checkpoint_whose_write_or_flush_fails_says_so_and_reads_go_on(string operation)
    {
        using var faults = ShimFaults.Install();
        using (var database = new TestDatabase())
        {
            database.Pages.Lead(1);
            var (connection, handle) = database.ConnectOwn();
            database.Write(connection, handle, 1, "CREATE TABLE t(v)");
            database.Pages.Poll(long.MaxValue)!.Dispose();
            database.Pages.Commit(2);
            faults.Fail(Enum.Parse<ShimOperation>(operation), nth: 1, Eio);
            if (operation == nameof(ShimOperation.Sync))
            {
                faults.Fail(ShimOperation.DataSync, nth: 1, Eio); // the shim may flush with either
            }

            var exception = Assert.Throws<ShimException>(() => database.Pages.Checkpoint(2))!;
            Assert.That(exception.ResultCode & 0xff, Is.EqualTo(10));
            handle.Arm(0);
            Assert.That(Scalar(connection, "SELECT count(*) FROM t"), Is.Zero);
        }
    }

    [Test]
    public void A_read_error_of_the_file_is_an_error_of_the_statement()
    {
        using var faults = ShimFaults.Install();
        using (var database = new TestDatabase())
        {
            var (connection, handle) = database.ConnectOwn();
            handle.Arm(0);
            faults.Fail(ShimOperation.Read, nth: 1, Eio, sticky: true, pathPart: "test.db");
            Assert.That(-Scalar(connection, "PRAGMA user_version") & 0xff, Is.EqualTo(10));
            faults.Clear();
            Assert.That(Scalar(connection, "PRAGMA user_version"), Is.Zero);
        }
    }

    [Test]
    public void The_table_is_not_replaced_under_an_open_database()
    {
        using var database = new TestDatabase();
        Assert.That(() => ShimFaults.Install(), Throws.InvalidOperationException);
    }
}
