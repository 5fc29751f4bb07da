using System.Collections;
using System.Data.Common;

namespace Dqlite.Net;

/// <summary>The parameters of a command. Names are compared case-sensitively, as SQLite does.</summary>
public sealed class DqliteParameterCollection : DbParameterCollection
{
    private readonly List<DqliteParameter> _parameters = [];

    internal DqliteParameterCollection()
    {
    }

    /// <inheritdoc/>
    public override int Count => _parameters.Count;

    /// <inheritdoc/>
    public override object SyncRoot => ((ICollection)_parameters).SyncRoot;

    /// <summary>The parameter at a position.</summary>
    /// <param name="index">The position.</param>
    public new DqliteParameter this[int index]
    {
        get => _parameters[index];
        set => _parameters[index] = Checked(value);
    }

    /// <summary>The parameter of a name.</summary>
    /// <param name="parameterName">The name.</param>
    /// <exception cref="IndexOutOfRangeException">There is none.</exception>
    public new DqliteParameter this[string parameterName]
    {
        get => _parameters[Find(parameterName)];
        set => _parameters[Find(parameterName)] = Checked(value);
    }

    /// <summary>Adds a parameter.</summary>
    /// <param name="value">The parameter.</param>
    /// <returns>The same.</returns>
    public DqliteParameter Add(DqliteParameter value)
    {
        _parameters.Add(Checked(value));
        return value;
    }

    /// <inheritdoc/>
    public override int Add(object value)
    {
        _parameters.Add(Checked(value));
        return _parameters.Count - 1;
    }

    /// <summary>Adds a parameter.</summary>
    /// <param name="parameterName">Its name; null or empty for a positional one.</param>
    /// <param name="type">Its type.</param>
    public DqliteParameter Add(string? parameterName, DqliteType type) => Add(new DqliteParameter(parameterName, type));

    /// <summary>Adds a parameter.</summary>
    /// <param name="parameterName">Its name; null or empty for a positional one.</param>
    /// <param name="type">Its type.</param>
    /// <param name="size">Its maximum size, in characters or bytes.</param>
    public DqliteParameter Add(string? parameterName, DqliteType type, int size) => Add(new DqliteParameter(parameterName, type, size));

    /// <summary>Adds a parameter.</summary>
    /// <param name="parameterName">Its name; null or empty for a positional one.</param>
    /// <param name="type">Its type.</param>
    /// <param name="size">Its maximum size, in characters or bytes.</param>
    /// <param name="sourceColumn">The column of a DataTable that it stands for.</param>
    public DqliteParameter Add(string? parameterName, DqliteType type, int size, string? sourceColumn) =>
        Add(new DqliteParameter(parameterName, type, size, sourceColumn));

    /// <summary>Adds a parameter with a value.</summary>
    /// <param name="parameterName">Its name; null or empty for a positional one.</param>
    /// <param name="value">Its value; DBNull for NULL.</param>
    public DqliteParameter AddWithValue(string? parameterName, object? value) => Add(new DqliteParameter(parameterName, value));

    /// <inheritdoc/>
    public override void AddRange(Array values)
    {
        ArgumentNullException.ThrowIfNull(values);
        foreach (var value in values)
        {
            Add(value);
        }
    }

    /// <summary>Adds several.</summary>
    /// <param name="values">The parameters.</param>
    public void AddRange(IEnumerable<DqliteParameter> values) => _parameters.AddRange(values);

    /// <inheritdoc/>
    public override void Clear() => _parameters.Clear();

    /// <inheritdoc/>
    public override bool Contains(object value) => value is DqliteParameter parameter && _parameters.Contains(parameter);

    /// <inheritdoc/>
    public override bool Contains(string value) => IndexOf(value) >= 0;

    /// <inheritdoc/>
    public override void CopyTo(Array array, int index) => ((ICollection)_parameters).CopyTo(array, index);

    /// <inheritdoc/>
    public override IEnumerator GetEnumerator() => _parameters.GetEnumerator();

    /// <inheritdoc/>
    public override int IndexOf(object value) => value is DqliteParameter parameter ? _parameters.IndexOf(parameter) : -1;

    /// <inheritdoc/>
    public override int IndexOf(string parameterName)
    {
        for (var i = 0; i < _parameters.Count; i++)
        {
            if (_parameters[i].ParameterName == parameterName)
            {
                return i;
            }
        }

        return -1;
    }

    /// <inheritdoc/>
    public override void Insert(int index, object value) => _parameters.Insert(index, Checked(value));

    /// <inheritdoc/>
    public override void Remove(object value) => _parameters.Remove(Checked(value));

    /// <inheritdoc/>
    public override void RemoveAt(int index) => _parameters.RemoveAt(index);

    /// <inheritdoc/>
    public override void RemoveAt(string parameterName) => _parameters.RemoveAt(Find(parameterName));

    /// <inheritdoc/>
    protected override DbParameter GetParameter(int index) => _parameters[index];

    /// <inheritdoc/>
    protected override DbParameter GetParameter(string parameterName) => this[parameterName];

    /// <inheritdoc/>
    protected override void SetParameter(int index, DbParameter value) => _parameters[index] = Checked(value);

    /// <inheritdoc/>
    protected override void SetParameter(string parameterName, DbParameter value) => _parameters[Find(parameterName)] = Checked(value);

    private static DqliteParameter Checked(object value)
    {
        ArgumentNullException.ThrowIfNull(value);
        return value as DqliteParameter
            ?? throw new InvalidCastException($"A {nameof(DqliteParameterCollection)} takes {nameof(DqliteParameter)}, not {value.GetType().Name}.");
    }

    private int Find(string parameterName)
    {
        var index = IndexOf(parameterName);
        return index >= 0 ? index : throw new IndexOutOfRangeException($"There is no parameter '{parameterName}'.");
    }
}
