using Dqlite.Raft;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>Memberships: the payload of configuration entries. Nothing is accepted but the bytes that encoding would make.</summary>
internal sealed class ConfigurationTarget : FuzzTarget
{
    public override string Name => "configuration";

    public override byte[] Generate(SeededRandom random) => new Mutator(random).Mutate(Valid(random), () => Valid(random));

    public override FuzzCase Prepare(byte[] input) => new Case(input);

    private static byte[] Valid(SeededRandom random) => ConfigurationCodec.Encode(new Samples(random).Configuration());

    private sealed class Case(byte[] input) : FuzzCase
    {
        private ClusterConfiguration? _configuration;

        public override void Parse() => _configuration = ConfigurationCodec.Decode(input);

        public override bool IsRefusal(Exception exception) => exception is ConfigurationFormatException;

        public override void Check() => RequireSame(input, ConfigurationCodec.Encode(_configuration!), "the membership came back as");
    }
}
