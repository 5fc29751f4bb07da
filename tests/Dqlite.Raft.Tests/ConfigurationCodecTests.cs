using Dqlite.Raft.Tests.Harness;
using static Dqlite.Raft.Tests.Harness.Short;

namespace Dqlite.Raft.Tests;

/// <summary>docs/formats/configuration.md, held still.</summary>
public sealed class ConfigurationCodecTests
{
    private static readonly ClusterConfiguration Sample = new([
        new ClusterMember(N(1), "a:1", "0f", MemberRole.Voter),
        new ClusterMember(N(0x0102030405), "", "", MemberRole.NonVoter),
    ]);

    [Test]
    public void Golden_bytes() => Assert.That(
        Convert.ToHexString(ConfigurationCodec.Encode(Sample)),
        Is.EqualTo("44514346" + "0100" + "0200"
            + "0100000000000000" + "01" + "0300" + "613A31" + "0200" + "3066"
            + "0504030201000000" + "02" + "0000" + "0000"));

    [Test]
    public void What_is_encoded_is_decoded([Range(0, 7)] int count)
    {
        var configuration = new ClusterConfiguration(Enumerable.Range(1, count).Select(i => Simulation.Member(i, i % 2 == 0 ? MemberRole.NonVoter : MemberRole.Voter)));
        Assert.That(ConfigurationCodec.Decode(ConfigurationCodec.Encode(configuration)).Members, Is.EqualTo(configuration.Members));
    }

    [Test]
    public void Every_truncation_is_refused()
    {
        var bytes = ConfigurationCodec.Encode(Sample);
        for (var length = 0; length < bytes.Length; length++)
        {
            Assert.That(() => ConfigurationCodec.Decode(bytes.AsSpan(0, length)), Throws.TypeOf<ConfigurationFormatException>(), $"{length} bytes");
        }

        Assert.That(() => ConfigurationCodec.Decode([.. bytes, 0]), Throws.TypeOf<ConfigurationFormatException>());
    }

    [Test]
    public void Garbage_is_refused_or_read_but_never_anything_else()
    {
        const int seed = 4711;
        var random = new Random(seed);
        var bytes = ConfigurationCodec.Encode(Sample);
        for (var i = 0; i < 20_000; i++)
        {
            var garbage = (byte[])bytes.Clone();
            for (var flips = random.Next(1, 4); flips > 0; flips--)
            {
                garbage[random.Next(garbage.Length)] = (byte)random.Next(256);
            }

            try
            {
                ConfigurationCodec.Decode(garbage);
            }
            catch (ConfigurationFormatException)
            {
                // refused: one of the two allowed outcomes, any other exception fails the test
            }
        }
    }

    [Test]
    public void What_could_not_be_read_back_is_not_encoded()
    {
        var text = new string('x', ConfigurationCodec.MaxTextBytes + 1);
        Assert.That(() => ConfigurationCodec.Encode(new ClusterConfiguration([new ClusterMember(N(1), text, "", MemberRole.Voter)])), Throws.ArgumentException);
    }
}
