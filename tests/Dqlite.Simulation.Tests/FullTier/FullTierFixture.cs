using Dqlite.Simulation.Workload;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Tests.FullTier;

/// <summary>A tier with a clock that the test moves, and its nodes.</summary>
[NonParallelizable]
public abstract class FullTierFixture
{
    private readonly List<FullNode> _nodes = [];

    internal Simulation.FullTier.FullTier Tier { get; private set; } = null!;

    /// <summary>Nanoseconds.</summary>
    internal long Now { get; set; }

    internal static WorkloadShape Shape { get; } = new(Registers: 4, Lists: 3, Accounts: 4, InitialBalance: 100, Blobs: 2);

    [SetUp]
    public void SetUp()
    {
        Now = 1_000_000_000;
        ShimDisk.Clock = () => Now;
        Tier = new Simulation.FullTier.FullTier(PageSize);
    }

    [TearDown]
    public void TearDown()
    {
        Tier.ThrowIfDefect();
        End();
    }

    protected virtual int PageSize => 1024;

    internal void End()
    {
        foreach (var node in _nodes)
        {
            node.Dispose();
        }

        _nodes.Clear();
        Tier.Dispose();
        (ShimDisk.Clock, ShimDisk.Wait) = (null, null);
    }

    /// <summary>A node that leads, with the tables of the workload committed.</summary>
    internal FullNode Leader(int number = 1)
    {
        var node = Follower(number);
        node.Lead();
        using var connection = node.Connect();
        node.Write(connection, [.. Tier.Setup(Shape)]);
        return node;
    }

    internal FullNode Follower(int number) => On(new Machine(number, new SeededRandom(1)));

    /// <summary>A node with an empty database.</summary>
    internal FullNode On(Machine machine)
    {
        var node = new FullNode(Tier, machine);
        _nodes.Add(node);
        return node;
    }
}
