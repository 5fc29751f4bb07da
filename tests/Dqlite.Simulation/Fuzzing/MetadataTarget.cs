using Dqlite.Net.Storage;
using Dqlite.Raft;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>DATA/metadata.</summary>
internal sealed class MetadataTarget : SlotFileTarget<(HardState HardState, NodeIdentity Identity)>
{
    public override string Name => "metadata";

    protected override void Create(IFileSystem files, string path, SeededRandom random) => MetadataFile.Create(files, path, new Samples(random).Identity()).Dispose();

    protected override (HardState HardState, NodeIdentity Identity) Open(IFileSystem files, string path)
    {
        using var file = MetadataFile.Open(files, path);
        return (file.HardState, file.Identity);
    }

    protected override void Write(IFileSystem files, string path, (HardState HardState, NodeIdentity Identity) value)
    {
        using var file = MetadataFile.Open(files, path);
        if (file.HardState != value.HardState)
        {
            file.Write(value.HardState);
        }
        else
        {
            file.Write(value.Identity);
        }
    }

    protected override (HardState HardState, NodeIdentity Identity) Next((HardState HardState, NodeIdentity Identity) value, SeededRandom random) => random.Chance(0.8)
        ? (new HardState(new Term(value.HardState.CurrentTerm.Value + random.Between(1, 5)), new NodeId(random.Next(5))), value.Identity)
        : (value.HardState, value.Identity with { NodeId = new NodeId(random.Between(1, 5)), ClusterId = new Samples(random).Id() });
}

/// <summary>DATA/databases/NAME.meta.</summary>
internal sealed class DatabaseMetaTarget : SlotFileTarget<DatabaseMeta>
{
    public override string Name => "meta";

    protected override void Create(IFileSystem files, string path, SeededRandom random) => DatabaseMetaFile.Create(files, path, new Samples(random).DatabaseMeta()).Dispose();

    protected override DatabaseMeta Open(IFileSystem files, string path)
    {
        using var file = DatabaseMetaFile.Open(files, path);
        return file.Meta;
    }

    protected override void Write(IFileSystem files, string path, DatabaseMeta value)
    {
        using var file = DatabaseMetaFile.Open(files, path);
        file.Write(value);
    }

    protected override DatabaseMeta Next(DatabaseMeta value, SeededRandom random) => value with
    {
        CheckpointTarget = new LogIndex(value.CheckpointTarget.Value + 1),
        PageCount = (uint)random.Between(1, 1000),
        Checksum = random.NextBits(),
    };
}
