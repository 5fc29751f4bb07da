namespace Dqlite.Net;

/// <summary>SQLite's storage classes, as the type of a <see cref="DqliteParameter"/>.</summary>
public enum DqliteType
{
    /// <summary>A signed integer of up to 64 bits.</summary>
    Integer = 1,

    /// <summary>A floating-point number of 64 bits.</summary>
    Real = 2,

    /// <summary>Text; stored as UTF-8.</summary>
    Text = 3,

    /// <summary>Bytes, stored as they are.</summary>
    Blob = 4,
}
