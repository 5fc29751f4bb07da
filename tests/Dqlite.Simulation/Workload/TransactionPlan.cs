using Dqlite.Simulation.Checking;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Workload;

/// <summary>What a client does next.</summary>
/// <param name="Operation">What its history says.</param>
/// <param name="Steps">What its transaction does.</param>
/// <param name="Writes">Whether it needs the writer slot.</param>
/// <param name="RollsBack">Whether it throws everything away in the end.</param>
/// <param name="Undone">Values that are appended and undone again, with their lists: they must never be seen.</param>
internal sealed record TransactionPlan(Operation? Operation, IReadOnlyList<Op> Steps, bool Writes, bool RollsBack, IReadOnlyList<MicroOperation> Undone)
{
    /// <summary>Where the keys of blobs begin in the history, which knows registers alone.</summary>
    public const int BlobKeys = 1_000;

    /// <summary>Draws one.</summary>
    public static TransactionPlan Draw(SeededRandom random, OperationMix mix, WorkloadShape shape, Func<long> newValue)
    {
        var at = random.Next(mix.Sum);
        var level = random.Chance(0.7) ? ReadLevel.Linearizable : random.Chance(0.5) ? ReadLevel.Session : ReadLevel.Local;
        bool Is(int weight) => (at -= weight) < 0;
        if (Is(mix.RegisterReads))
        {
            var key = random.Next(shape.Registers);
            return Reading(Operation.Read(key, level), new Op(OpKind.ReadRegister, key));
        }

        if (Is(mix.RegisterWrites))
        {
            var (key, value) = (random.Next(shape.Registers), newValue());
            return Writing(random, Operation.Write(key, value), new Op(OpKind.WriteRegister, key, value));
        }

        if (Is(mix.Cas))
        {
            // The value is drawn when the register has been read in the same transaction, so that some of them succeed.
            var (key, value) = (random.Next(shape.Registers), newValue());
            return new TransactionPlan(null, [new Op(OpKind.ReadRegister, key), new Op(OpKind.CasRegister, key, value)], true, false, []);
        }

        if (Is(mix.ListTransactions))
        {
            return DrawLists(random, shape, newValue, level);
        }

        if (Is(mix.Transfers))
        {
            var from = random.Next(shape.Accounts);
            var to = (from + 1 + random.Next(shape.Accounts - 1)) % shape.Accounts;
            var amount = random.Between(1, 60);
            return Writing(random, Operation.Transfer(from, to, amount), new Op(OpKind.Transfer, from, amount, to));
        }

        if (Is(mix.AccountReads))
        {
            return Reading(Operation.ReadAll(level), new Op(OpKind.ReadAccounts));
        }

        return Is(mix.Blobs) ? DrawBlob(random, shape, newValue) : new TransactionPlan(null, [new Op(OpKind.ChangeSchema, 0, newValue())], true, random.Chance(0.2), []);
    }

    /// <summary>Reads of everything.</summary>
    public static IEnumerable<TransactionPlan> Everything(WorkloadShape shape)
    {
        var registers = Enumerable.Range(0, shape.Registers).Select(key => Reading(Operation.Read(key), new Op(OpKind.ReadRegister, key)));
        var blobs = Enumerable.Range(0, shape.Blobs).Select(key => Reading(Operation.Read(BlobKeys + key), new Op(OpKind.ReadBlob, key)));
        var lists = Enumerable.Range(0, shape.Lists).Select(key => Reading(Operation.Transaction(MicroOperation.Read(key)), new Op(OpKind.ReadList, key)));
        return [.. registers, .. blobs, .. lists, Reading(Operation.ReadAll(), new Op(OpKind.ReadAccounts))];
    }

    private static TransactionPlan Reading(Operation operation, Op step) => new(operation, [step], false, false, []);

    private static TransactionPlan Writing(SeededRandom random, Operation operation, Op step) => new(operation, [step], true, random.Chance(0.03), []);

    private static TransactionPlan DrawBlob(SeededRandom random, WorkloadShape shape, Func<long> newValue)
    {
        var key = random.Next(shape.Blobs);
        if (random.Chance(0.4))
        {
            return Reading(Operation.Read(BlobKeys + key), new Op(OpKind.ReadBlob, key));
        }

        var value = newValue();
        return Writing(random, Operation.Write(BlobKeys + key, value), new Op(OpKind.WriteBlob, key, value, random.Chance(0.1) ? random.Between(50_000, 150_000) : random.Between(100, 12_000)));
    }

    private static TransactionPlan DrawLists(SeededRandom random, WorkloadShape shape, Func<long> newValue, ReadLevel level)
    {
        var writes = random.Chance(0.65);
        var count = random.Between(1, 4);
        var steps = new List<Op>();
        var micro = new List<MicroOperation>();
        var undone = new List<MicroOperation>();
        for (var i = 0; i < count; i++)
        {
            var key = random.Next(shape.Lists);
            if (writes && (i == 0 || random.Chance(0.6)))
            {
                var value = newValue();
                steps.Add(new Op(OpKind.Append, key, value));
                micro.Add(MicroOperation.Append(key, value));
            }
            else
            {
                steps.Add(new Op(OpKind.ReadList, key));
                micro.Add(MicroOperation.Read(key));
            }
        }

        if (writes && random.Chance(0.1))
        {
            var (key, value) = (random.Next(shape.Lists), newValue());
            undone.Add(MicroOperation.Append(key, value));
            steps.AddRange([new Op(OpKind.Savepoint), new Op(OpKind.Append, key, value), new Op(OpKind.RollbackTo)]);
        }

        var operation = Operation.Transaction(writes ? ReadLevel.Linearizable : level, [.. micro]);
        return new TransactionPlan(operation, steps, writes, writes && random.Chance(0.05), undone);
    }
}
