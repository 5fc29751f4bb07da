using System.Buffers;
using System.Globalization;
using System.Text;
using SQLitePCL;
using static SQLitePCL.raw;

namespace Dqlite.Net.Data;

/// <summary>.NET values as values of SQLite: parameters and results of functions. The conversions are those of Microsoft.Data.Sqlite.</summary>
internal abstract class ValueSink
{
    public abstract void Integer(long value);

    public abstract void Text(ReadOnlySpan<char> value);

    public abstract void Blob(ReadOnlySpan<byte> value);

    public abstract void Null();

    protected abstract void RealCore(double value);

    /// <summary>Writes a value.</summary>
    /// <param name="value">Any supported type; null is NULL.</param>
    /// <param name="type">What to store a type as that has more than one form; null: its usual one.</param>
    /// <param name="size">Text and blobs are cut to this length; negative: not.</param>
    /// <exception cref="InvalidOperationException">The type is not supported, or the number is NaN.</exception>
    public void Write(object? value, DqliteType? type = null, int size = -1)
    {
        switch (value)
        {
            case null or DBNull:
                Null();
                break;
            case string text:
                Text(Cut(text.AsSpan(), size));
                break;
            case byte[] bytes:
                Blob(Cut((ReadOnlySpan<byte>)bytes, size));
                break;
            case Memory<byte> bytes:
                Blob(Cut((ReadOnlySpan<byte>)bytes.Span, size));
                break;
            case ReadOnlyMemory<byte> bytes:
                Blob(Cut(bytes.Span, size));
                break;
            case IConvertible number:
                WriteConvertible(number, type);
                break;
            default:
                WriteStruct(value, type);
                break;
        }
    }

    /// <summary>The usual storage class of a value.</summary>
    /// <param name="value">The value.</param>
    /// <exception cref="InvalidOperationException">The type is not supported.</exception>
    public static DqliteType TypeOf(object? value) => value switch
    {
        null or DBNull => DqliteType.Text,
        byte[] or Memory<byte> or ReadOnlyMemory<byte> => DqliteType.Blob,
        Guid or DateTimeOffset or DateOnly or TimeOnly or TimeSpan => DqliteType.Text,
        IConvertible convertible => convertible.GetTypeCode() switch
        {
            TypeCode.Double or TypeCode.Single => DqliteType.Real,
            TypeCode.Char or TypeCode.DateTime or TypeCode.Decimal or TypeCode.String => DqliteType.Text,
            TypeCode.Object => throw Unsupported(value),
            _ => DqliteType.Integer,
        },
        _ => throw Unsupported(value),
    };

    private static ReadOnlySpan<T> Cut<T>(ReadOnlySpan<T> value, int size) => size >= 0 && size < value.Length ? value[..size] : value;

    private static InvalidOperationException Unsupported(object value) =>
        new($"No mapping exists from object type {value.GetType().FullName} to a known SQLite type.");

    private void WriteConvertible(IConvertible value, DqliteType? type)
    {
        // An enum has the type code of its underlying type, so it needs no case of its own.
        switch (value.GetTypeCode())
        {
            case TypeCode.Double or TypeCode.Single:
                Real(value.ToDouble(CultureInfo.InvariantCulture));
                break;
            case TypeCode.UInt64:
                Integer(unchecked((long)value.ToUInt64(CultureInfo.InvariantCulture)));
                break;
            case TypeCode.Char when type == DqliteType.Integer:
                Integer(value.ToChar(CultureInfo.InvariantCulture));
                break;
            case TypeCode.Char:
                Text([value.ToChar(CultureInfo.InvariantCulture)]);
                break;
            case TypeCode.DateTime when type == DqliteType.Real:
                Real(JulianDay.FromDateTime((DateTime)value));
                break;
            case TypeCode.DateTime:
                Format((DateTime)value, @"yyyy\-MM\-dd HH\:mm\:ss.FFFFFFF");
                break;
            case TypeCode.Decimal:
                Format((decimal)value, "0.0###########################");
                break;
            case TypeCode.Object or TypeCode.String or TypeCode.Empty or TypeCode.DBNull:
                throw Unsupported(value);
            default:
                Integer(value.ToInt64(CultureInfo.InvariantCulture));
                break;
        }
    }

    private void WriteStruct(object value, DqliteType? type)
    {
        switch (value)
        {
            case Guid guid when type == DqliteType.Blob:
                Blob(guid.ToByteArray());
                break;
            case Guid guid:
                Text(guid.ToString().ToUpperInvariant());
                break;
            case DateTimeOffset time when type == DqliteType.Real:
                Real(JulianDay.FromDateTime(time.UtcDateTime));
                break;
            case DateTimeOffset time:
                Format(time, @"yyyy\-MM\-dd HH\:mm\:ss.FFFFFFFzzz");
                break;
            case DateOnly date when type == DqliteType.Real:
                Real(JulianDay.FromDateTime(date.ToDateTime(TimeOnly.MinValue)));
                break;
            case DateOnly date:
                Format(date, @"yyyy\-MM\-dd");
                break;
            case TimeOnly time when type == DqliteType.Real:
                Real(time.ToTimeSpan().TotalDays);
                break;
            case TimeOnly time:
                Format(time, time.Ticks % TimeSpan.TicksPerSecond == 0 ? @"HH:mm:ss" : @"HH:mm:ss.fffffff");
                break;
            case TimeSpan span when type == DqliteType.Real:
                Real(span.TotalDays);
                break;
            case TimeSpan span:
                Format(span, "c");
                break;
            default:
                throw Unsupported(value);
        }
    }

    private void Real(double value)
    {
        if (double.IsNaN(value))
        {
            throw new InvalidOperationException("Cannot store 'NaN' values.");
        }

        RealCore(value);
    }

    private void Format<T>(T value, string format)
        where T : ISpanFormattable
    {
        Span<char> buffer = stackalloc char[64];
        if (value.TryFormat(buffer, out var length, format, CultureInfo.InvariantCulture))
        {
            Text(buffer[..length]);
        }
        else
        {
            Text(value.ToString(format, CultureInfo.InvariantCulture));
        }
    }
}

/// <summary>Binds parameters of one statement after the other.</summary>
internal sealed class ParameterSink : ValueSink
{
    private const int StackTextLimit = 170;

    private sqlite3_stmt? _statement;
    private int _index;
    private int _result;

    /// <summary>Binds a value.</summary>
    /// <returns>SQLite's result code.</returns>
    public int Bind(sqlite3_stmt statement, int index, object? value, DqliteType? type, int size)
    {
        _statement = statement;
        _index = index;
        Write(value, type, size);
        return _result;
    }

    public override void Integer(long value) => _result = sqlite3_bind_int64(_statement!, _index, value);

    public override void Text(ReadOnlySpan<char> value)
    {
        if (value.IsEmpty)
        {
            // An empty span has a null pointer, which SQLite takes for NULL.
            _result = sqlite3_bind_text(_statement!, _index, string.Empty);
        }
        else if (value.Length <= StackTextLimit)
        {
            Span<byte> utf8 = stackalloc byte[StackTextLimit * 3];
            var length = Encoding.UTF8.GetBytes(value, utf8);
            _result = sqlite3_bind_text(_statement!, _index, utf8[..length]);
        }
        else
        {
            var utf8 = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(value.Length));
            var length = Encoding.UTF8.GetBytes(value, utf8);
            _result = sqlite3_bind_text(_statement!, _index, utf8.AsSpan(0, length));
            ArrayPool<byte>.Shared.Return(utf8);
        }
    }

    public override void Blob(ReadOnlySpan<byte> value) => _result = sqlite3_bind_blob(_statement!, _index, value);

    public override void Null() => _result = sqlite3_bind_null(_statement!, _index);

    protected override void RealCore(double value) => _result = sqlite3_bind_double(_statement!, _index, value);
}
