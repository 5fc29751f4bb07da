using System.Reflection;
using Dqlite.Sqlite.Native;

namespace Dqlite.Sqlite.Tests;

public sealed class ShimRuntimeTests
{
    [Test]
    public void Initialization_from_many_threads_registers_the_vfs_once_and_not_as_the_default()
    {
        Parallel.For(0, 8, _ => ShimRuntime.EnsureInitialized());
        var rc = SQLitePCL.raw.sqlite3_open_v2(":memory:", out var connection, SQLitePCL.raw.SQLITE_OPEN_READWRITE, null);
        Assert.That(rc, Is.Zero);
        Assert.That(VfsHandle.From(connection), Is.Null);
        SQLitePCL.raw.sqlite3_close_v2(connection);
    }

    [Test]
    public void A_mismatch_of_the_binary_interface_is_named()
    {
        NativeMethods.AbiGet(out var abi);
        Assert.That(() => ShimRuntime.CompareAbi(abi), Throws.Nothing);
        abi.SizeOfDatabaseState += 8;
        Assert.That(() => ShimRuntime.CompareAbi(abi), Throws.InvalidOperationException.With.Message.Contains("sizeof(dq_db_state)"));
        abi.AbiVersion++;
        Assert.That(() => ShimRuntime.CompareAbi(abi), Throws.InvalidOperationException.With.Message.Contains($"interface version is {ShimRuntime.AbiVersion + 1} there and {ShimRuntime.AbiVersion} here"));
    }

    [Test]
    public void Every_result_code_has_a_text_of_its_own()
    {
        var codes = typeof(ShimResult).GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => (int)field.GetRawConstantValue()!).ToArray();
        Assert.That(codes, Is.Unique.And.Length.GreaterThan(12));
        Assert.That(codes.Select(ShimResult.Describe), Is.Unique.And.None.StartWith("SQLite result code"));
        Assert.That(ShimResult.Describe(10 | (99 << 8)), Does.Contain("Check the disk"));
    }

    [Test]
    public void A_page_checksum_depends_on_every_byte_and_on_the_page_number()
    {
        var page = new byte[512];
        var checksum = PageChecksum.Compute(7, page);
        Assert.That(PageChecksum.Compute(7, page), Is.EqualTo(checksum));
        Assert.That(PageChecksum.Compute(8, page), Is.Not.EqualTo(checksum));
        page[511] = 1;
        Assert.That(PageChecksum.Compute(7, page), Is.Not.EqualTo(checksum));
        Assert.That(() => PageChecksum.Compute(1, new byte[500]), Throws.ArgumentException);
    }
}
