namespace Dqlite.Simulation.World;

// Partitions are made of directed blocks. Machines go by their numbers.
internal sealed partial class SimNetwork
{
    /// <summary>Blocks all that one group of machines says to another.</summary>
    public void BlockOneWay(IReadOnlyCollection<int> from, IReadOnlyCollection<int> to)
    {
        foreach (var source in from)
        {
            foreach (var target in to)
            {
                if (source != target)
                {
                    Link(source, target).Block();
                }
            }
        }
    }

    /// <summary>Parts a group of machines from all others, both ways.</summary>
    public void Split(IReadOnlyCollection<int> group)
    {
        var others = Others(group);
        BlockOneWay(group, others);
        BlockOneWay(others, group);
    }

    /// <summary>Parts one machine from all others, both ways.</summary>
    public void Isolate(int number) => Split([number]);

    /// <summary>One machine hears nobody, but is heard.</summary>
    public void Deafen(int number) => BlockOneWay(Others([number]), [number]);

    /// <summary>One machine is heard by nobody, but hears.</summary>
    public void Mute(int number) => BlockOneWay([number], Others([number]));

    /// <summary>Each machine talks only to its two neighbours in this order, which goes round.</summary>
    public void Ring(IReadOnlyList<int> order)
    {
        for (var i = 0; i < order.Count; i++)
        {
            for (var j = 0; j < order.Count; j++)
            {
                var distance = Math.Abs(i - j);
                if (distance > 1 && distance < order.Count - 1)
                {
                    Link(order[i], order[j]).Block();
                }
            }
        }
    }

    /// <summary>Makes the ways between two machines slow.</summary>
    public void Slow(int first, int second, LinkSettings settings)
    {
        Link(first, second).Settings = settings;
        Link(second, first).Settings = settings;
    }

    /// <summary>Ends every block and clog, and makes every link what it was.</summary>
    public void Heal()
    {
        foreach (var link in _links)
        {
            link.Settings = Options.Link;
            link.Release();
        }
    }

    private List<int> Others(IReadOnlyCollection<int> group)
    {
        var others = new List<int>();
        foreach (var host in _hosts)
        {
            if (!group.Contains(host.Machine.Number))
            {
                others.Add(host.Machine.Number);
            }
        }

        return others;
    }
}
