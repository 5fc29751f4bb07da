using Dqlite.Net.Engine;
using Dqlite.Net.Transport;
using Dqlite.Raft;

namespace Dqlite.Net.Tests.Engine;

/// <summary>Golden bytes: when one of these changes, nodes of different versions do not understand each other. See docs/formats/peer.md.</summary>
public sealed class RequestCodecTests
{
    private const string ManifestBody = "96CD012C05C401AA02929201019205CCC8919811A3617070CD100002C3CD012221CF0102030405060708";
    private const string ManifestCrc = "861F9856";

    private static InstallManifest Manifest => new(
        new LogIndex(300), new Term(5), [0xAA], new LogIndex(2),
        [new TermStart(new Term(1), new LogIndex(1)), new TermStart(new Term(5), new LogIndex(200))],
        [new InstallDatabase(17, "app", 4096, 2, true, 290, 33, 0x0102030405060708)]);

    [Test]
    public void A_leader_request_has_eight_fields()
    {
        var create = new LeaderRequest(LeaderOperation.CreateDatabase, "app", 4096, 2);
        var add = new LeaderRequest(LeaderOperation.AddMember, Address: "h:1", Incarnation: "ab");
        Assert.That(Convert.ToHexString(create.Encode()), Is.EqualTo("9801A3617070CD100002C300A0A0"));
        Assert.That(Convert.ToHexString(add.Encode()), Is.EqualTo("9803A00000C300A3683A31A26162"));
        Assert.That(LeaderRequest.Decode(create.Encode()), Is.EqualTo(create));
        Assert.That(LeaderRequest.Decode(add.Encode()), Is.EqualTo(add));
    }

    [TestCase("app", 3, 0)]
    [TestCase("app", 131072, 0)]
    [TestCase("app", -512, 0)]
    [TestCase("app", 4096, 3)]
    [TestCase("../app", 4096, 0)]
    public void A_database_that_no_node_could_create_is_a_problem_of_the_request(string name, int pageSize, int autoVacuum)
    {
        Assert.That(new LeaderRequest(LeaderOperation.CreateDatabase, "app", 4096, 2).FindProblem(), Is.Null);
        Assert.That(new LeaderRequest(LeaderOperation.CreateDatabase, name, pageSize, autoVacuum).FindProblem(), Is.Not.Null);
    }

    [TestCase("nowhere", "0123456789abcdef0123456789abcdef")]
    [TestCase("", "0123456789abcdef0123456789abcdef")]
    [TestCase("127.0.0.1:9001", "ab")]
    [TestCase("127.0.0.1:9001", "0123456789abcdef0123456789abcdeX")]
    public void A_member_that_no_node_could_dial_is_a_problem_of_the_request(string address, string incarnation)
    {
        Assert.That(new LeaderRequest(LeaderOperation.AddMember, Address: "[::1]:9001", Incarnation: "0123456789abcdef0123456789abcdef").FindProblem(), Is.Null);
        Assert.That(new LeaderRequest(LeaderOperation.AddMember, Address: address, Incarnation: incarnation).FindProblem(), Is.Not.Null);
    }

    [Test]
    public void A_leader_reply_has_six_fields()
    {
        var reply = new LeaderReply(LeaderStatus.Done, 300, "", 101, "c", [1, 2]);
        Assert.That(Convert.ToHexString(reply.Encode()), Is.EqualTo("9600CD012CA065A163C4020102"));
        Assert.That(Convert.ToHexString(new LeaderReply(LeaderStatus.NotLeader, Text: "h:1").Encode()), Is.EqualTo("960100A3683A3100A0C400"));
        var decoded = LeaderReply.Decode(reply.Encode());
        Assert.That(decoded with { Configuration = null }, Is.EqualTo(reply with { Configuration = null }));
        Assert.That(decoded.Configuration, Is.EqualTo(new byte[] { 1, 2 }));
    }

    [Test]
    public void A_probe_lists_the_founding_members()
    {
        var reply = new ProbeReply("", "ab", ["a:1"], []);
        Assert.That(Convert.ToHexString(new ProbeRequest(["a:1", "b:2"]).Encode()), Is.EqualTo("92A3613A31A3623A32"));
        Assert.That(Convert.ToHexString(reply.Encode()), Is.EqualTo("94A0A2616291A3613A31C400"));
        var decoded = ProbeReply.Decode(reply.Encode());
        Assert.That((decoded.ClusterId, decoded.Incarnation), Is.EqualTo(("", "ab")));
        Assert.That(decoded.Members, Is.EqualTo(reply.Members));
        Assert.That(decoded.Configuration, Is.Empty);
    }

    [Test]
    public void An_acknowledgement_of_a_stream_has_17_bytes() =>
        Assert.That(Convert.ToHexString(InstallMessages.Ack(0x0102, 3, 1)), Is.EqualTo("0201000000000000" + "0300000000000000" + "01"));

    [Test]
    public void A_manifest_holds_the_state_of_the_node()
    {
        Assert.That(Convert.ToHexString(Manifest.Encode()), Is.EqualTo(ManifestBody));
        var decoded = InstallManifest.Decode(Manifest.Encode());
        Assert.That((decoded.Index, decoded.Term, decoded.ConfigurationIndex), Is.EqualTo((Manifest.Index, Manifest.Term, Manifest.ConfigurationIndex)));
        Assert.That(decoded.Configuration, Is.EqualTo(Manifest.Configuration));
        Assert.That(decoded.TermStarts, Is.EqualTo(Manifest.TermStarts));
        Assert.That(decoded.Databases, Is.EqualTo(Manifest.Databases));
    }

    [Test]
    public void The_manifest_file_has_magic_length_and_checksum()
    {
        var file = Manifest.EncodeFile();
        Assert.That(Convert.ToHexString(file), Is.EqualTo("4451494E53543031" + "2A000000" + ManifestCrc + ManifestBody));
        var usable = Manifest with { Configuration = ConfigurationCodec.Encode(ClusterConfiguration.Empty) };
        Assert.That(InstallManifest.DecodeFile(usable.EncodeFile(), "install.manifest").Index, Is.EqualTo(new LogIndex(300)));
        Assert.That(() => InstallManifest.DecodeFile(file, "install.manifest"), Throws.TypeOf<InvalidDataException>(), "its membership cannot be read");
    }

    [Test]
    public void A_damaged_manifest_file_is_refused_by_name()
    {
        var file = Manifest.EncodeFile();
        for (var i = 0; i < file.Length; i++)
        {
            var damaged = (byte[])file.Clone();
            damaged[i] ^= 0x10;
            Assert.That(() => InstallManifest.DecodeFile(damaged, "install.manifest"), Throws.TypeOf<InvalidDataException>().With.Message.Contains("install.manifest"), $"byte {i}");
        }

        Assert.That(() => InstallManifest.DecodeFile(file[..^1], "install.manifest"), Throws.TypeOf<InvalidDataException>());
    }

    [Test]
    public void A_body_with_another_number_of_fields_is_refused()
    {
        var body = new byte[] { 0x93, 0, 0, 0 };
        Assert.That(() => LeaderReply.Decode(body), Throws.TypeOf<InvalidDataException>());
        Assert.That(() => ProbeReply.Decode(body), Throws.TypeOf<InvalidDataException>());
        Assert.That(() => InstallManifest.Decode(body), Throws.TypeOf<InvalidDataException>());
        Assert.That(() => LeaderRequest.Decode(body), Throws.TypeOf<InvalidDataException>());
    }

    [Test]
    public void A_body_that_is_cut_is_refused()
    {
        var manifest = Manifest.Encode();
        for (var length = 0; length < manifest.Length; length++)
        {
            Assert.That(() => InstallManifest.Decode(manifest.AsMemory(0, length)), Throws.TypeOf<MessagePackSerializationException>(), $"{length} bytes");
        }
    }
}
