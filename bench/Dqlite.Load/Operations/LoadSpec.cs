using Dqlite.Net;

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

/// <summary>On which nodes the clients are.</summary>
internal enum Place
{
    /// <summary>All on the one that leads.</summary>
    Leader,

    /// <summary>In turn on the others.</summary>
    Followers,

    /// <summary>In turn on every node.</summary>
    All,
}

/// <summary>The load of one point.</summary>
/// <param name="Operation">What is done.</param>
/// <param name="Clients">Connections that do it at the same time.</param>
/// <param name="ValueBytes">Length of a value.</param>
/// <param name="Rows">Rows of the table that is read and changed.</param>
/// <param name="Seconds">How long it is measured.</param>
/// <param name="Level">How fresh reads must be.</param>
/// <param name="On">Where the clients are.</param>
internal sealed record LoadSpec(OperationKind Operation, int Clients, int ValueBytes, int Rows, double Seconds, ReadConsistency Level = ReadConsistency.Linearizable, Place On = Place.Leader)
{
    /// <summary>Nothing is written: any node will do, and on most of them no read waits.</summary>
    public bool OnlyReads => Operation == OperationKind.Select;

    /// <summary>As it is without the options.</summary>
    public bool IsLinearizableOnLeader => Level == ReadConsistency.Linearizable && On == Place.Leader;

    /// <summary>Whether clients are on this node, if there are enough.</summary>
    public bool UsesNode(bool isLeader) => On switch
    {
        Place.Leader => isLeader,
        Place.Followers => !isLeader,
        Place.All => true,
    };

    /// <summary>The shares of some nodes; the last ones have no client when there are too few.</summary>
    public IEnumerable<LoadSpec> Split(int nodes) => Enumerable.Range(0, nodes).Select(node => this with { Clients = (Clients + nodes - 1 - node) / nodes });
}
