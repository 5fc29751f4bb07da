namespace Dqlite.Load.Operations;

/// <summary>What one client does again and again; each is one transaction, and counted as one commit.</summary>
internal enum OperationKind
{
    /// <summary>One new row.</summary>
    Insert,

    /// <summary>One row of <see cref="LoadSpec.Rows"/>, by its key.</summary>
    Update,

    /// <summary>Reads one row by its key.</summary>
    Select,

    /// <summary>Nine reads, then an update.</summary>
    Mixed,

    /// <summary>The transaction of TPC-B: three balances and a line of history.</summary>
    Tpcb,

    /// <summary>One new row with a BLOB.</summary>
    Blob,
}

/// <summary>Which connections the clients use.</summary>
internal enum Api
{
    /// <summary>The library's own, awaited.</summary>
    Dqlite,

    /// <summary>An unmodified SqliteConnection, which blocks: each client has a thread.</summary>
    Plain,
}

/// <summary>The load of one point.</summary>
/// <param name="Operation">What is done.</param>
/// <param name="Clients">Connections that do it at the same time.</param>
/// <param name="ValueBytes">Length of a value.</param>
/// <param name="Rows">Rows of the table that is read and changed.</param>
/// <param name="Seconds">How long it is measured.</param>
internal sealed record LoadSpec(OperationKind Operation, int Clients, int ValueBytes, int Rows, double Seconds);
