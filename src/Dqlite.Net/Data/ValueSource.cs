using System.Globalization;
using System.Text;
using static SQLitePCL.raw;

namespace Dqlite.Net.Data;

/// <summary>
/// Values of SQLite as .NET values: a row, or the arguments of a function. The conversions are those of Microsoft.Data.Sqlite, and a test
/// compares them with it.
/// </summary>
internal abstract class ValueSource
{
    /// <summary>How many values there are.</summary>
    public abstract int Count { get; }

    /// <summary>SQLITE_INTEGER, _FLOAT, _TEXT, _BLOB or _NULL.</summary>
    /// <param name="ordinal">Which value.</param>
    public abstract int StorageClass(int ordinal);

    /// <summary>As SQLite converts it.</summary>
    /// <param name="ordinal">Which value.</param>
    protected abstract long Int64Core(int ordinal);

    /// <summary>As SQLite converts it.</summary>
    /// <param name="ordinal">Which value.</param>
    protected abstract double DoubleCore(int ordinal);

    /// <summary>As SQLite converts it.</summary>
    /// <param name="ordinal">Which value.</param>
    protected abstract string StringCore(int ordinal);

    /// <summary>As SQLite converts it.</summary>
    /// <param name="ordinal">Which value.</param>
    protected abstract byte[] BlobCore(int ordinal);

    /// <summary>What stands for NULL when a type that can hold it is asked for.</summary>
    /// <param name="ordinal">Which value.</param>
    protected virtual T Null<T>(int ordinal) => typeof(T) == typeof(DBNull) || typeof(T) == typeof(object)
        ? (T)(object)DBNull.Value
        : throw IsNull(ordinal);

    /// <summary>The error for a NULL where the type cannot hold it.</summary>
    /// <param name="ordinal">Which value.</param>
    protected virtual Exception IsNull(int ordinal) =>
        new InvalidOperationException($"The data is NULL at ordinal {ordinal}. This method can't be called on NULL values. Check using IsDBNull before calling.");

    public bool IsDBNull(int ordinal) => StorageClass(ordinal) == SQLITE_NULL;

    public long GetInt64(int ordinal) => IsDBNull(ordinal) ? throw IsNull(ordinal) : Int64Core(ordinal);

    public double GetDouble(int ordinal) => IsDBNull(ordinal) ? throw IsNull(ordinal) : DoubleCore(ordinal);

    public string GetString(int ordinal) => IsDBNull(ordinal) ? throw IsNull(ordinal) : StringCore(ordinal);

    public byte[] GetBlob(int ordinal) => IsDBNull(ordinal) ? Null<byte[]>(ordinal) : BlobCore(ordinal);

    public bool GetBoolean(int ordinal) => GetInt64(ordinal) != 0;

    public byte GetByte(int ordinal) => checked((byte)GetInt64(ordinal));

    public short GetInt16(int ordinal) => checked((short)GetInt64(ordinal));

    public int GetInt32(int ordinal) => checked((int)GetInt64(ordinal));

    public float GetFloat(int ordinal) => (float)GetDouble(ordinal);

    public char GetChar(int ordinal) => StorageClass(ordinal) == SQLITE_TEXT && StringCore(ordinal) is [var only]
        ? only
        : checked((char)GetInt64(ordinal));

    public decimal GetDecimal(int ordinal) =>
        decimal.Parse(GetString(ordinal), NumberStyles.Number | NumberStyles.AllowExponent, CultureInfo.InvariantCulture);

    public DateTime GetDateTime(int ordinal) => IsNumber(ordinal)
        ? JulianDay.ToDateTime(DoubleCore(ordinal))
        : DateTime.Parse(GetString(ordinal), CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal);

    public DateTimeOffset GetDateTimeOffset(int ordinal) => IsNumber(ordinal)
        ? new DateTimeOffset(JulianDay.ToDateTime(DoubleCore(ordinal)), TimeSpan.Zero)
        : DateTimeOffset.Parse(GetString(ordinal), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

    public DateOnly GetDateOnly(int ordinal) => IsNumber(ordinal)
        ? DateOnly.FromDateTime(JulianDay.ToDateTime(DoubleCore(ordinal)))
        : DateOnly.Parse(GetString(ordinal), CultureInfo.InvariantCulture);

    public TimeOnly GetTimeOnly(int ordinal) => TimeOnly.Parse(GetString(ordinal), CultureInfo.InvariantCulture);

    public TimeSpan GetTimeSpan(int ordinal) => IsNumber(ordinal)
        ? TimeSpan.FromDays(DoubleCore(ordinal))
        : TimeSpan.Parse(GetString(ordinal), CultureInfo.InvariantCulture);

    public Guid GetGuid(int ordinal)
    {
        if (StorageClass(ordinal) != SQLITE_BLOB)
        {
            return new Guid(GetString(ordinal));
        }

        var bytes = BlobCore(ordinal);
        return bytes.Length == 16 ? new Guid(bytes) : new Guid(Encoding.UTF8.GetString(bytes));
    }

    public object GetValue(int ordinal) => StorageClass(ordinal) switch
    {
        SQLITE_INTEGER => Int64Core(ordinal),
        SQLITE_FLOAT => DoubleCore(ordinal),
        SQLITE_TEXT => StringCore(ordinal),
        SQLITE_BLOB => BlobCore(ordinal),
        _ => Null<object>(ordinal),
    };

    public T GetFieldValue<T>(int ordinal)
    {
        // For a value type the JIT keeps one branch of this and drops the boxing.
        if (typeof(T) == typeof(int))
        {
            return (T)(object)GetInt32(ordinal);
        }

        if (typeof(T) == typeof(long))
        {
            return (T)(object)GetInt64(ordinal);
        }

        if (typeof(T) == typeof(double))
        {
            return (T)(object)GetDouble(ordinal);
        }

        if (typeof(T) == typeof(bool))
        {
            return (T)(object)GetBoolean(ordinal);
        }

        if (typeof(T) == typeof(Guid))
        {
            return (T)(object)GetGuid(ordinal);
        }

        if (typeof(T) == typeof(DateTime))
        {
            return (T)(object)GetDateTime(ordinal);
        }

        return GetOther<T>(ordinal);
    }

    private T GetOther<T>(int ordinal)
    {
        if (IsDBNull(ordinal) && default(T) is null)
        {
            return Null<T>(ordinal);
        }

        var type = Nullable.GetUnderlyingType(typeof(T)) ?? typeof(T);
        var enumType = type.IsEnum ? type : null;
        if (enumType is not null)
        {
            type = IsDBNull(ordinal) ? throw new InvalidCastException($"The data is NULL at ordinal {ordinal}.") : Enum.GetUnderlyingType(enumType);
        }

        var value = Convert(type, ordinal) ?? GetValue(ordinal);
        return (T)(enumType is null ? value : Enum.ToObject(enumType, value));
    }

    private object? Convert(Type type, int ordinal)
    {
        if (type == typeof(string))
        {
            return GetString(ordinal);
        }

        if (type == typeof(byte[]))
        {
            return GetBlob(ordinal);
        }

        return Type.GetTypeCode(type) switch
        {
            TypeCode.Boolean => GetBoolean(ordinal),
            TypeCode.Byte => GetByte(ordinal),
            TypeCode.Char => GetChar(ordinal),
            TypeCode.DateTime => GetDateTime(ordinal),
            TypeCode.Decimal => GetDecimal(ordinal),
            TypeCode.Double => GetDouble(ordinal),
            TypeCode.Int16 => GetInt16(ordinal),
            TypeCode.Int32 => GetInt32(ordinal),
            TypeCode.Int64 => GetInt64(ordinal),
            TypeCode.SByte => checked((sbyte)GetInt64(ordinal)),
            TypeCode.Single => GetFloat(ordinal),
            TypeCode.UInt16 => checked((ushort)GetInt64(ordinal)),
            TypeCode.UInt32 => checked((uint)GetInt64(ordinal)),
            TypeCode.UInt64 => unchecked((ulong)GetInt64(ordinal)),
            _ => ConvertStruct(type, ordinal),
        };
    }

    private object? ConvertStruct(Type type, int ordinal) =>
        type == typeof(Guid) ? GetGuid(ordinal)
        : type == typeof(DateTimeOffset) ? GetDateTimeOffset(ordinal)
        : type == typeof(DateOnly) ? GetDateOnly(ordinal)
        : type == typeof(TimeOnly) ? GetTimeOnly(ordinal)
        : type == typeof(TimeSpan) ? GetTimeSpan(ordinal)
        : null;

    private bool IsNumber(int ordinal) => StorageClass(ordinal) is SQLITE_INTEGER or SQLITE_FLOAT;
}
