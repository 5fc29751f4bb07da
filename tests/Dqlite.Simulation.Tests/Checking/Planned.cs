using Dqlite.Simulation.Checking;

namespace Dqlite.Simulation.Tests.Checking;

/// <summary>One operation that is to be executed.</summary>
internal sealed class Planned
{
    public required int Process { get; init; }

    public required Operation Operation { get; init; }

    public required long InvokedNs { get; init; }

    public required long CompletedNs { get; init; }

    /// <summary>When it takes effect; null for never.</summary>
    public long? EffectNs { get; set; }

    public required Outcome Outcome { get; set; }

    public long? Value { get; set; }

    public long[]?[] Lists { get; set; } = [];

    public long[] Balances { get; set; } = [];

    /// <summary>Records how it ended.</summary>
    public void End(History history, int id)
    {
        switch (Outcome)
        {
            case Outcome.Fail:
                history.Fail(id);
                break;
            case Outcome.Info:
                history.Info(id);
                break;
            case Outcome.Ok when Operation.Kind == OperationKind.Read:
                history.OkRead(id, Value);
                break;
            case Outcome.Ok when Operation.Kind == OperationKind.Transaction:
                history.OkTransaction(id, Lists);
                break;
            case Outcome.Ok when Operation.Kind == OperationKind.ReadAll:
                history.OkReadAll(id, Balances);
                break;
            default:
                history.Ok(id);
                break;
        }
    }
}
