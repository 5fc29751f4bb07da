using Dqlite.Raft;

namespace Dqlite.Net.Storage;

/// <summary>Who a node is; never changes in a data directory, except that the cluster becomes known.</summary>
/// <param name="NodeId">Its number, or none while it is blank.</param>
/// <param name="ClusterId">32 hexadecimal digits; zeros while the node belongs to no cluster.</param>
/// <param name="Incarnation">32 hexadecimal digits: identity of the data directory.</param>
internal sealed record NodeIdentity(NodeId NodeId, string ClusterId, string Incarnation)
{
    /// <summary>The cluster id of a node that belongs to none.</summary>
    internal const string NoCluster = "00000000000000000000000000000000";
}

/// <summary>DATA/metadata: term, vote and identity, one atomic record (docs/formats/metadata.md). One thread at a time.</summary>
internal sealed class MetadataFile : IDisposable
{
    internal const string FileName = "metadata";

    private readonly TwoSlotFile _file;

    private MetadataFile(TwoSlotFile file, HardState hardState, NodeIdentity identity)
    {
        _file = file;
        HardState = hardState;
        Identity = identity;
    }

    private static ReadOnlySpan<byte> Magic => "DqNetMet"u8;

    /// <summary>Term and vote that are durable.</summary>
    internal HardState HardState { get; private set; }

    /// <summary>Who this node is.</summary>
    internal NodeIdentity Identity { get; private set; }

    /// <summary>Whether a data directory has one.</summary>
    internal static bool Exists(IFileSystem fileSystem, string path) => fileSystem.Exists(path);

    /// <summary>Creates the file atomically, with term zero and no vote.</summary>
    internal static MetadataFile Create(IFileSystem fileSystem, string path, NodeIdentity identity)
    {
        var hardState = new HardState(Term.Zero, NodeId.None);
        return new MetadataFile(TwoSlotFile.Create(fileSystem, path, Magic, Encode(hardState, identity)), hardState, identity);
    }

    /// <summary>Opens the file.</summary>
    /// <exception cref="StorageDamagedException">The newest record cannot be told.</exception>
    internal static MetadataFile Open(IFileSystem fileSystem, string path)
    {
        var file = TwoSlotFile.Open(fileSystem, path, Magic);
        try
        {
            var reader = new ByteReader(file.Payload);
            var hardState = new HardState(new Term(reader.Int64()), new NodeId(reader.Int64()));
            var identity = new NodeIdentity(new NodeId(reader.Int64()), reader.Hex128(), reader.Hex128());
            return new MetadataFile(file, hardState, identity);
        }
        catch (FormatException exception)
        {
            file.Dispose();
            throw new StorageDamagedException(path, exception.Message.TrimEnd('.'));
        }
    }

    /// <summary>Makes term and vote durable (Raft figure 2: before answering).</summary>
    internal void Write(HardState hardState)
    {
        var isOlder = hardState.CurrentTerm < HardState.CurrentTerm;
#if MUTANTS
        isOlder &= !Mutant.Is("R5");
        if (Mutant.Is("R2"))
        {
            _file.Write(Encode(HardState with { VotedFor = hardState.VotedFor }, Identity));
        }
#endif
        if (isOlder)
        {
            throw new InvalidOperationException($"Term {hardState.CurrentTerm} would replace the newer term {HardState.CurrentTerm}.");
        }

        _file.Write(Encode(hardState, Identity));
        HardState = hardState;
    }

    /// <summary>Makes the identity durable, when the node gets its number or its cluster.</summary>
    internal void Write(NodeIdentity identity)
    {
        _file.Write(Encode(HardState, identity));
        Identity = identity;
    }

    private static byte[] Encode(HardState hardState, NodeIdentity identity) => new ByteWriter()
        .Int64(hardState.CurrentTerm.Value)
        .Int64(hardState.VotedFor.Value)
        .Int64(identity.NodeId.Value)
        .Hex128(identity.ClusterId)
        .Hex128(identity.Incarnation)
        .ToArray();

    public void Dispose() => _file.Dispose();
}
