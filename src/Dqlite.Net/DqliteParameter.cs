using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using Dqlite.Net.Data;

namespace Dqlite.Net;

/// <summary>
/// A parameter of a command. Its name may carry the prefix that the SQL uses (<c>@</c>, <c>$</c> or <c>:</c>) or none; without a name it is
/// positional (<c>?</c>). Values are not converted, except for types that SQLite does not have; see <see cref="DqliteType"/>.
/// </summary>
public sealed class DqliteParameter : DbParameter
{
    private object? _value;
    private int? _size;
    private DqliteType? _type;
    private string _name = string.Empty;
    private string _sourceColumn = string.Empty;

    /// <summary>Makes a parameter without name or value.</summary>
    public DqliteParameter()
    {
    }

    /// <summary>Makes a parameter.</summary>
    /// <param name="name">Its name; null or empty for a positional one.</param>
    /// <param name="value">Its value; DBNull for NULL.</param>
    public DqliteParameter(string? name, object? value)
    {
        ParameterName = name;
        Value = value;
    }

    /// <summary>Makes a parameter.</summary>
    /// <param name="name">Its name; null or empty for a positional one.</param>
    /// <param name="type">Its type.</param>
    public DqliteParameter(string? name, DqliteType type)
    {
        ParameterName = name;
        DqliteType = type;
    }

    /// <summary>Makes a parameter.</summary>
    /// <param name="name">Its name; null or empty for a positional one.</param>
    /// <param name="type">Its type.</param>
    /// <param name="size">Its maximum size, in characters or bytes.</param>
    public DqliteParameter(string? name, DqliteType type, int size)
        : this(name, type) => Size = size;

    /// <summary>Makes a parameter.</summary>
    /// <param name="name">Its name; null or empty for a positional one.</param>
    /// <param name="type">Its type.</param>
    /// <param name="size">Its maximum size, in characters or bytes.</param>
    /// <param name="sourceColumn">The column of a DataTable that it stands for.</param>
    public DqliteParameter(string? name, DqliteType type, int size, string? sourceColumn)
        : this(name, type, size) => SourceColumn = sourceColumn;

    /// <inheritdoc/>
    public override DbType DbType { get; set; } = DbType.String;

    /// <summary>The storage class; decides the form of types that have more than one, such as DateTime (Text or Real) and Guid (Text or Blob).</summary>
    public DqliteType DqliteType
    {
        get => _type ?? ValueSink.TypeOf(_value);
        set => _type = value;
    }

    /// <summary>Only <see cref="ParameterDirection.Input"/> is supported.</summary>
    /// <exception cref="ArgumentException">Another direction is set.</exception>
    public override ParameterDirection Direction
    {
        get => ParameterDirection.Input;
        set
        {
            if (value != ParameterDirection.Input)
            {
                throw new ArgumentException($"The ParameterDirection '{value}' is not supported: SQLite has input parameters only.", nameof(value));
            }
        }
    }

    /// <inheritdoc/>
    public override bool IsNullable { get; set; }

    /// <inheritdoc/>
    [AllowNull]
    public override string ParameterName
    {
        get => _name;
        set => _name = value ?? string.Empty;
    }

    /// <summary>Maximum size in characters or bytes: longer values are cut. -1: not.</summary>
    public override int Size
    {
        get => _size ?? _value switch
        {
            string text => text.Length,
            byte[] bytes => bytes.Length,
            _ => 0,
        };
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, -1);
            _size = value;
        }
    }

    /// <inheritdoc/>
    [AllowNull]
    public override string SourceColumn
    {
        get => _sourceColumn;
        set => _sourceColumn = value ?? string.Empty;
    }

    /// <inheritdoc/>
    public override bool SourceColumnNullMapping { get; set; }

    /// <summary>The value; DBNull for NULL. Null means that it was not set, which is an error at execution.</summary>
    public override object? Value
    {
        get => _value;
        set => _value = value;
    }

    internal DqliteType? ExplicitType => _type;

    internal int MaxLength => _size ?? -1;

    /// <inheritdoc/>
    public override void ResetDbType() => ResetDqliteType();

    /// <summary>Sets the type to that of the value again.</summary>
    public void ResetDqliteType()
    {
        DbType = DbType.String;
        _type = null;
    }
}
