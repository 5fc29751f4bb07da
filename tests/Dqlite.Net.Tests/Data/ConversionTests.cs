using System.Data.Common;
using Microsoft.Data.Sqlite;

namespace Dqlite.Net.Tests.Data;

/// <summary>The same value, written and read through both providers, must be stored and read the same.</summary>
internal sealed class ConversionTests : DataFixture
{
    private static readonly object[] Written =
    [
        true, (byte)200, (sbyte)-5, (short)-300, (ushort)60000, -70000, 4000000000u, long.MinValue, ulong.MaxValue, 1.5f, 2.25d, double.PositiveInfinity,
        123456789.123456789m, 0m, 1m, -0.5m, 'x', string.Empty, "text", "naïve ☃ 🎉", new string('y', 1000), "nul\0inside",
        new byte[] { 1, 2, 3 }, Array.Empty<byte>(), new DateTime(2024, 2, 29, 13, 14, 15, 678), new DateTime(2024, 1, 1), new DateTime(2024, 1, 1, 1, 2, 3, DateTimeKind.Utc).AddTicks(7),
        new DateTimeOffset(2024, 2, 29, 13, 14, 15, TimeSpan.FromHours(5.5)), new DateOnly(2024, 2, 29), new TimeOnly(1, 2, 3), new TimeOnly(1, 2, 3, 456),
        new TimeSpan(1, 2, 3, 4, 5), TimeSpan.FromHours(-3), new Guid("0f8fad5b-d9cb-469f-a165-70867728950e"), DayOfWeek.Friday, LongEnum.Big, DBNull.Value,
    ];

    private static readonly (object Value, SqliteType Type)[] Typed =
    [
        (new DateTime(2024, 2, 29, 13, 14, 15, 678), SqliteType.Real), (new DateTimeOffset(2024, 2, 29, 13, 14, 15, TimeSpan.FromHours(2)), SqliteType.Real),
        (new DateOnly(2024, 2, 29), SqliteType.Real), (new TimeOnly(18, 0), SqliteType.Real), (TimeSpan.FromHours(36), SqliteType.Real),
        (Guid.Empty, SqliteType.Blob), ('x', SqliteType.Integer), ("text", SqliteType.Integer), (5, SqliteType.Text),
    ];

    // What a column may hold, as SQL.
    private static readonly string[] Stored =
    [
        "NULL", "0", "1", "-1", "65", "300", "70000", "9223372036854775807", "1.5", "-2.75", "2460370.5", "1e300", "'1'", "'x'", "'text'", "'12.5'", "'2024-02-29 13:14:15.678'",
        "'2024-02-29'", "'13:14:15'", "'1.02:03:04'", "'2024-02-29 13:14:15+05:30'", "'0F8FAD5B-D9CB-469F-A165-70867728950E'", "x'00'", "x'0102030405060708090A0B0C0D0E0F10'",
        "x''", "''", "'Friday'", "5",
    ];

    private enum LongEnum : long
    {
        Big = long.MaxValue,
    }

    private SqliteConnection _reference = null!;

    [SetUp]
    public void OpenReference()
    {
        _reference = new SqliteConnection("Data Source=:memory:");
        _reference.Open();
    }

    [TearDown]
    public void CloseReference() => _reference.Dispose();

    [TestCaseSource(nameof(Written))]
    public void A_parameter_is_stored_as_Microsoft_Data_Sqlite_stores_it(object value) => AssertStored(value, null);

    [TestCaseSource(nameof(TypedCases))]
    public void A_typed_parameter_is_stored_as_Microsoft_Data_Sqlite_stores_it(object value, SqliteType type) => AssertStored(value, type);

    [TestCaseSource(nameof(Stored))]
    public void A_value_is_read_as_Microsoft_Data_Sqlite_reads_it(string sql)
    {
        Assert.Multiple(() =>
        {
            Compare(sql, "GetValue", reader => reader.GetValue(0));
            Compare(sql, "IsDBNull", reader => reader.IsDBNull(0));
            Compare(sql, "GetFieldType", reader => reader.GetFieldType(0));
            Compare(sql, "GetDataTypeName", reader => reader.GetDataTypeName(0));
            Compare(sql, "GetBoolean", reader => reader.GetBoolean(0));
            Compare(sql, "GetByte", reader => reader.GetByte(0));
            Compare(sql, "GetChar", reader => reader.GetChar(0));
            Compare(sql, "GetInt16", reader => reader.GetInt16(0));
            Compare(sql, "GetInt32", reader => reader.GetInt32(0));
            Compare(sql, "GetInt64", reader => reader.GetInt64(0));
            Compare(sql, "GetFloat", reader => reader.GetFloat(0));
            Compare(sql, "GetDouble", reader => reader.GetDouble(0));
            Compare(sql, "GetDecimal", reader => reader.GetDecimal(0));
            Compare(sql, "GetString", reader => reader.GetString(0));
            Compare(sql, "GetDateTime", reader => reader.GetDateTime(0));
            Compare(sql, "GetGuid", reader => reader.GetGuid(0));
            Compare(sql, "byte[]", reader => reader.GetFieldValue<byte[]>(0));
            Compare(sql, "string", reader => reader.GetFieldValue<string>(0));
            Compare(sql, "object", reader => reader.GetFieldValue<object>(0));
            Compare(sql, "int?", reader => reader.GetFieldValue<int?>(0));
            Compare(sql, "DBNull", reader => reader.GetFieldValue<DBNull>(0));
            Compare(sql, "uint", reader => reader.GetFieldValue<uint>(0));
            Compare(sql, "ulong", reader => reader.GetFieldValue<ulong>(0));
            Compare(sql, "sbyte", reader => reader.GetFieldValue<sbyte>(0));
            Compare(sql, "ushort", reader => reader.GetFieldValue<ushort>(0));
            Compare(sql, "DayOfWeek", reader => reader.GetFieldValue<DayOfWeek>(0));
            Compare(sql, "DateTimeOffset", reader => reader.GetFieldValue<DateTimeOffset>(0));
            Compare(sql, "DateOnly", reader => reader.GetFieldValue<DateOnly>(0));
            Compare(sql, "TimeOnly", reader => reader.GetFieldValue<TimeOnly>(0));
            Compare(sql, "TimeSpan", reader => reader.GetFieldValue<TimeSpan>(0));
            Compare(sql, "Guid?", reader => reader.GetFieldValue<Guid?>(0));
            Compare(sql, "GetBytes", reader => reader.GetBytes(0, 1, new byte[2], 0, 2));
            Compare(sql, "GetTextReader", reader => reader.GetTextReader(0).ReadToEnd());
        });
    }

    [TestCaseSource(nameof(Stored))]
    public void A_buffered_value_is_read_as_a_live_one(string sql)
    {
        Run("CREATE TABLE v (a)");
        Assert.Multiple(() =>
        {
            CompareBuffered(sql, "GetValue", reader => reader.GetValue(0));
            CompareBuffered(sql, "GetInt64", reader => reader.GetInt64(0));
            CompareBuffered(sql, "GetDouble", reader => reader.GetDouble(0));
            CompareBuffered(sql, "GetString", reader => reader.GetString(0));
            CompareBuffered(sql, "byte[]", reader => reader.GetFieldValue<byte[]>(0));
            CompareBuffered(sql, "GetFieldType", reader => reader.GetFieldType(0));
            CompareBuffered(sql, "GetDateTime", reader => reader.GetDateTime(0));
        });
    }

    [Test]
    public void Text_behind_a_nul_character_is_kept()
    {
        // Microsoft.Data.Sqlite loses it.
        Assert.That(Scalar("SELECT $a", ("$a", "nul\0inside")), Is.EqualTo("nul\0inside"));
    }

    [Test]
    public void Reals_as_text_are_those_of_sqlite()
    {
        foreach (var value in new[] { 0.1, 1.0 / 3, 100.0, 1e15, 1e16, 123456789012345.6, 1e-4, 1e-5, 1.5e-7, -2.5, 1e300, 5e-324 })
        {
            Assert.That(Dqlite.Net.Data.SqliteNumber.ToText(value), Is.EqualTo(Scalar("SELECT CAST($v AS TEXT)", ("$v", value))));
        }
    }

    [Test]
    public void A_nullable_enum_is_read_from_its_number()
    {
        // Microsoft.Data.Sqlite throws InvalidCastException.
        using var reader = Command(Connection, "SELECT 5, NULL").ExecuteReader();
        Assert.That(reader.Read(), Is.True);
        Assert.That(reader.GetFieldValue<DayOfWeek?>(0), Is.EqualTo(DayOfWeek.Friday));
        Assert.That(() => reader.GetFieldValue<DayOfWeek?>(1), Throws.InvalidOperationException);
    }

    [Test]
    public void NaN_is_refused() => Assert.That(() => Scalar("SELECT $a", ("$a", double.NaN)), Throws.InvalidOperationException);

    [Test]
    public void An_unknown_type_is_refused() => Assert.That(() => Scalar("SELECT $a", ("$a", new object())), Throws.InvalidOperationException.With.Message.Contains("System.Object"));

    private static IEnumerable<TestCaseData> TypedCases() => Typed.Select(pair => new TestCaseData(pair.Value, pair.Type));

    private void AssertStored(object value, SqliteType? type)
    {
        const string Sql = "SELECT typeof($a), quote($a)";
        using var theirs = _reference.CreateCommand();
        theirs.CommandText = Sql;
        theirs.Parameters.AddWithValue("$a", value);
        using var ours = Command(Connection, Sql, ("$a", value));
        if (type is { } known)
        {
            theirs.Parameters[0].SqliteType = known;
            ours.Parameters[0].DqliteType = (DqliteType)(int)known;
        }

        using var theirReader = theirs.ExecuteReader();
        using var ourReader = ours.ExecuteReader();
        Assert.That(theirReader.Read() && ourReader.Read(), Is.True);
        Assert.That(ourReader.GetString(0), Is.EqualTo(theirReader.GetString(0)));
        Assert.That(ourReader.GetString(1), Is.EqualTo(theirReader.GetString(1)));
        Assert.That((int)ours.Parameters[0].DqliteType, Is.EqualTo((int)theirs.Parameters[0].SqliteType));
    }

    private void Compare(string sql, string what, Func<DbDataReader, object?> read)
    {
        using var theirs = _reference.CreateCommand();
        theirs.CommandText = $"SELECT {sql}";
        Assert.That(Outcome(Command(Connection, theirs.CommandText), read), Is.EqualTo(Outcome(theirs, read)), what);
    }

    private void CompareBuffered(string sql, string what, Func<DbDataReader, object?> read) =>
        Assert.That(
            Outcome(Command(Connection, $"INSERT INTO v VALUES ({sql}) RETURNING a"), read),
            Is.EqualTo(Outcome(Command(Connection, $"SELECT {sql} AS a"), read)),
            what);

    private static object Outcome(DbCommand command, Func<DbDataReader, object?> read)
    {
        using (command)
        using (var reader = command.ExecuteReader())
        {
            Assert.That(reader.Read(), Is.True);
            try
            {
                return read(reader) ?? "null";
            }
            catch (Exception e)
            {
                return e.GetType().Name;
            }
        }
    }
}
