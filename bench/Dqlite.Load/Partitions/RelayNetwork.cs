using Dqlite.Net.Benchmarks;

namespace Dqlite.Load.Partitions;

/// <summary>
/// A relay in front of each member, at the address that all members know it by. A member can be cut off without a sign: no byte passes from it or
/// to it, no connection ends, and new ones are taken and lead nowhere, as in a network that loses every packet.
/// </summary>
internal sealed class RelayNetwork : IAsyncDisposable
{
    private readonly MemberRelay[] _relays;
    private readonly Gate[,] _gates;

    private RelayNetwork(int count)
    {
        _relays = [.. Enumerable.Range(0, count).Select(_ => new MemberRelay())];
        Addresses = [.. _relays.Select(relay => relay.Address)];
        ListenAddresses = LocalCluster.FreeAddresses(count);
        _gates = new Gate[count, count];
        foreach (var pair in Enumerable.Range(0, count * count))
        {
            _gates[pair / count, pair % count] = new Gate();
        }
    }

    /// <summary>Where the members reach each other.</summary>
    public string[] Addresses { get; }

    /// <summary>Where they have to listen.</summary>
    public string[] ListenAddresses { get; }

    public static RelayNetwork Start(int count)
    {
        var network = new RelayNetwork(count);
        for (var i = 0; i < count; i++)
        {
            var target = i;
            network._relays[target].Start(network.ListenAddresses[target], address => network.GateOf(address, target));
        }

        return network;
    }

    /// <summary>Cuts a member off. Once this has returned, nothing of before is under way in a relay any more.</summary>
    public Task CutAsync(int member) => Task.WhenAll(GatesOf(member).Select(gate => gate.ShutAsync()));

    /// <summary>Ends the cut: what waits goes on.</summary>
    public void Heal(int member)
    {
        foreach (var gate in GatesOf(member))
        {
            gate.Open();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var relay in _relays)
        {
            await relay.DisposeAsync();
        }
    }

    private Gate GateOf(string dialler, int target) =>
        Array.IndexOf(Addresses, dialler) is >= 0 and var position ? _gates[position, target] : throw new IOException($"No member is known at {dialler}.");

    private IEnumerable<Gate> GatesOf(int member) =>
        Enumerable.Range(0, Addresses.Length).Where(other => other != member).SelectMany(other => new[] { _gates[other, member], _gates[member, other] });
}
