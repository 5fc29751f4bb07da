using System.Data.Common;

namespace Dqlite.Load.Operations;

/// <summary>The work of one client, prepared on its connection.</summary>
internal interface IOperation : IDisposable
{
    /// <summary>Does it once. On a connection that blocks the task is complete when this returns.</summary>
    Task RunAsync();
}

/// <summary>Which class does what.</summary>
internal static class OperationFactory
{
    /// <summary>Creates the tables and fills them.</summary>
    public static Task FillAsync(DbConnection connection, LoadSpec spec) => spec.Operation switch
    {
        OperationKind.Tpcb => TpcbOperation.FillAsync(connection),
        OperationKind.Insert or OperationKind.Blob => KeyValueTable.CreateAsync(connection),
        OperationKind.Update or OperationKind.Select or OperationKind.Mixed => KeyValueTable.FillAsync(connection, spec.Rows, spec.ValueBytes),
    };

    public static IOperation Create(DbConnection connection, LoadSpec spec, int client) => spec.Operation switch
    {
        OperationKind.Insert => new InsertOperation(connection, Values.Texts(spec.ValueBytes, client)),
        OperationKind.Blob => new InsertOperation(connection, Values.Blobs(spec.ValueBytes, client)),
        OperationKind.Update => new UpdateOperation(connection, spec, client),
        OperationKind.Select => new SelectOperation(connection, spec, client),
        OperationKind.Mixed => new MixedOperation(connection, spec, client),
        OperationKind.Tpcb => new TpcbOperation(connection, client),
    };
}
