namespace Dqlite.Simulation.World;

/// <summary>How long bytes take on a directed link.</summary>
internal sealed record LinkSettings
{
    /// <summary>The shortest time.</summary>
    public long BaseDelayNs { get; init; } = 200_000;

    /// <summary>Up to so much more, evenly distributed.</summary>
    public long JitterNs { get; init; } = 400_000;

    /// <summary>How often a packet is lost and sent again: the rest of what it belongs to comes later.</summary>
    public double LossChance { get; init; } = 0.002;

    /// <summary>Up to so much later.</summary>
    public long MaxLossDelayNs { get; init; } = 30_000_000;
}

/// <summary>Settings of a <see cref="SimNetwork"/>.</summary>
internal sealed record NetworkOptions
{
    /// <summary>Every link, unless it was given settings of its own.</summary>
    public LinkSettings Link { get; init; } = new();

    /// <summary>How often nobody closes the connections of a machine that loses its power: the others notice by the stall timeout, or when it is
    /// up again.</summary>
    public double SilentPowerCutChance { get; init; }

    /// <summary>How often what was under way on a connection that breaks arrives late, perhaps behind bytes of the next connection.</summary>
    public double LateBytesChance { get; init; } = 0.5;

    /// <summary>How late at most.</summary>
    public long MaxLateNs { get; init; } = 2_000_000_000;

    /// <summary>How much later than the stall timeout an end gives a connection up, at most.</summary>
    public long MaxStallJitterNs { get; init; } = 1_500_000_000;

    /// <summary>How long after the end of a block the first packet is sent again, at most.</summary>
    public long MaxRetransmissionNs { get; init; } = 300_000_000;

    /// <summary>How long the sender thread takes to wake, at most.</summary>
    public long MaxWakeUpNs { get; init; } = 50_000;
}
