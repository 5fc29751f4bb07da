using SQLitePCL;
using static SQLitePCL.raw;

namespace Dqlite.Net.Data;

/// <summary>The arguments of a function call.</summary>
internal sealed class FunctionArguments(string function, sqlite3_value[] values) : ValueSource
{
    public override int Count => values.Length;

    public override int StorageClass(int ordinal) => sqlite3_value_type(values[ordinal]);

    public object?[] ToArray()
    {
        var array = new object?[values.Length];
        for (var i = 0; i < array.Length; i++)
        {
            array[i] = IsDBNull(i) ? null : GetValue(i);
        }

        return array;
    }

    protected override long Int64Core(int ordinal) => sqlite3_value_int64(values[ordinal]);

    protected override double DoubleCore(int ordinal) => sqlite3_value_double(values[ordinal]);

    protected override string StringCore(int ordinal) => sqlite3_value_text(values[ordinal]).utf8_to_string();

    protected override byte[] BlobCore(int ordinal) => sqlite3_value_blob(values[ordinal]).ToArray();

    protected override T Null<T>(int ordinal) => typeof(T) == typeof(DBNull) ? (T)(object)DBNull.Value : default!;

    protected override Exception IsNull(int ordinal) => new InvalidOperationException(
        $"The SQL function '{function}' was called with a NULL argument at ordinal {ordinal}. Create the function using a Nullable parameter or rewrite your query to avoid passing NULL.");
}

/// <summary>The result of a function call.</summary>
internal sealed class FunctionResult(sqlite3_context context) : ValueSink
{
    public override void Integer(long value) => sqlite3_result_int64(context, value);

    public override void Text(ReadOnlySpan<char> value) => sqlite3_result_text(context, value.ToString());

    public override void Blob(ReadOnlySpan<byte> value) => sqlite3_result_blob(context, value);

    public override void Null() => sqlite3_result_null(context);

    protected override void RealCore(double value) => sqlite3_result_double(context, value);
}

/// <summary>
/// A function, aggregate or collation in .NET. It is called inside of SQLite: an exception must not leave the call, so it becomes SQLite's
/// error with its message.
/// </summary>
internal static class UserFunction
{
    private const int Utf8 = 1;
    private const int Deterministic = 0x800;

    /// <summary>Registers a function, or removes it.</summary>
    public static int Register(sqlite3 db, string name, int arity, bool isDeterministic, Func<FunctionArguments, object?>? function) =>
        function is null
            ? sqlite3_create_function(db, name, arity, Flags(isDeterministic), null, (delegate_function_scalar?)null)
            : sqlite3_create_function(db, name, arity, Flags(isDeterministic), null, (context, _, values) =>
            {
                try
                {
                    new FunctionResult(context).Write(function(new FunctionArguments(name, values)));
                }
                catch (Exception e)
                {
                    Fail(context, e);
                }
            });

    /// <summary>Registers an aggregate, or removes it.</summary>
    public static int Register<TAccumulate>(
        sqlite3 db, string name, int arity, bool isDeterministic, TAccumulate seed, Func<TAccumulate, FunctionArguments, TAccumulate>? step, Func<TAccumulate, object?> result)
    {
        if (step is null)
        {
            return sqlite3_create_function(db, name, arity, Flags(isDeterministic), null, null, null);
        }

        return sqlite3_create_function(
            db,
            name,
            arity,
            Flags(isDeterministic),
            null,
            (context, _, values) =>
            {
                var accumulator = (Accumulator<TAccumulate>)(context.state ??= new Accumulator<TAccumulate>(seed));
                try
                {
                    if (accumulator.Failure is null)
                    {
                        accumulator.Value = step(accumulator.Value, new FunctionArguments(name, values));
                    }
                }
                catch (Exception e)
                {
                    accumulator.Failure = e;
                }
            },
            (context, _) =>
            {
                var accumulator = (Accumulator<TAccumulate>)(context.state ??= new Accumulator<TAccumulate>(seed));
                try
                {
                    if (accumulator.Failure is { } failure)
                    {
                        Fail(context, failure);
                    }
                    else
                    {
                        new FunctionResult(context).Write(result(accumulator.Value));
                    }
                }
                catch (Exception e)
                {
                    Fail(context, e);
                }
            });
    }

    /// <summary>Registers a collation, or removes it.</summary>
    public static int Register(sqlite3 db, string name, Comparison<string>? comparison)
    {
        if (comparison is null)
        {
            return sqlite3_create_collation(db, name, null, null);
        }

        return sqlite3_create_collation(db, name, null, (_, left, right) =>
        {
            try
            {
                return comparison(left, right);
            }
            catch (Exception)
            {
                // SQLite has no way to fail in a comparison; ordinal order is at least consistent.
                return string.CompareOrdinal(left, right);
            }
        });
    }

    private static int Flags(bool isDeterministic) => isDeterministic ? Utf8 | Deterministic : Utf8;

    private static void Fail(sqlite3_context context, Exception e)
    {
        sqlite3_result_error(context, e.Message);
        if (e is DqliteException error)
        {
            sqlite3_result_error_code(context, error.SqliteErrorCode);
        }
    }

    private sealed class Accumulator<T>(T seed)
    {
        public T Value { get; set; } = seed;

        public Exception? Failure { get; set; }
    }
}
