using System.Buffers.Binary;
using Dqlite.Net;
using Dqlite.Net.Engine;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>DATA/install.manifest. An input is the damaged file, and behind it the file as written unless checksums were forged: nothing else may be read.</summary>
internal sealed class ManifestTarget : FuzzTarget
{
    private const string FileName = "install.manifest";
    private const int HeaderBytes = 16;

    public override string Name => "manifest";

    public override byte[] Generate(SeededRandom random)
    {
        var written = new Samples(random).Manifest().EncodeFile();
        byte[] damaged = random.Chance(0.6) ? [.. written[..HeaderBytes], .. new MessagePackMutator(random).Mutate(written[HeaderBytes..])] : written;
        damaged = random.Chance(0.5) ? new Mutator(random).Mutate(damaged, () => new Samples(random).Manifest().EncodeFile()) : damaged;
        return random.Chance(0.3) ? Blobs.Join([damaged, written]) : Blobs.Join([FixChecksum(damaged)]);
    }

    public override FuzzCase Prepare(byte[] input)
    {
        var parts = Blobs.Split(input);
        return new Case(parts[0], parts.Length > 1 ? parts[1] : null);
    }

    private static byte[] FixChecksum(byte[] content)
    {
        if (content.Length < HeaderBytes)
        {
            return content;
        }

        var fixedContent = (byte[])content.Clone();
        BinaryPrimitives.WriteInt32LittleEndian(fixedContent.AsSpan(8), content.Length - HeaderBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(fixedContent.AsSpan(12), Crc32C.Compute(fixedContent.AsSpan(HeaderBytes)));
        return fixedContent;
    }

    private sealed class Case(byte[] damaged, byte[]? written) : FuzzCase
    {
        private InstallManifest? _manifest;

        public override void Parse() => _manifest = InstallManifest.DecodeFile(damaged, FileName);

        public override bool IsRefusal(Exception exception) => exception is InvalidDataException;

        public override void Check()
        {
            var encoded = _manifest!.EncodeFile();
            RequireSame(written ?? encoded, encoded, "the manifest was read as");
            RequireSame(encoded, InstallManifest.DecodeFile(encoded, FileName).EncodeFile(), "the manifest came back as");

            // Once the file is durable the installation must end well: nothing in it may turn out to be unusable later.
            InstallFiles.BaseOf(_manifest, "");
            var databases = _manifest.Databases;
            Require(databases.Select(database => database.Name).Distinct().Count() == databases.Count
                && databases.Select(database => database.Id).Distinct().Count() == databases.Count, "two databases have the same name or id");
        }
    }
}
