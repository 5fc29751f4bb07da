using System.Buffers.Binary;
using Dqlite.Net.Engine;
using Dqlite.Net.Transport;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>
/// The messages themselves, behind every checksum. The first byte of an input says which: 0 is a peer message (then the size of its header as two
/// bytes, the header and the payload), the others are bodies of node messages.
/// </summary>
internal sealed class MessageTarget : FuzzTarget
{
    private const int PeerMessageHeaderBytes = 3;

    private enum Form : byte
    {
        PeerMessage = 0,
        LeaderRequest = 1,
        LeaderReply = 2,
        ProbeReply = 3,
        Skip = 4,
    }

    public override string Name => "messages";

    public override byte[] Generate(SeededRandom random)
    {
        var form = random.Chance(0.6) ? Form.PeerMessage : (Form)random.Between(1, 4);
        var mutator = new Mutator(random);
        var mutated = Valid(form, random);
        var (header, payload) = form == Form.PeerMessage ? Cut(mutated) : (mutated, []);
        if (random.Chance(0.7))
        {
            header = new MessagePackMutator(random).Mutate(header);
        }

        if (random.Chance(0.5))
        {
            header = mutator.Mutate(header, () => Valid(form, random));
        }

        payload = random.Chance(0.2) ? mutator.Mutate(payload, () => payload) : payload;
        return form == Form.PeerMessage ? [(byte)form, (byte)header.Length, (byte)(header.Length >> 8), .. header, .. payload] : [(byte)form, .. header];
    }

    public override FuzzCase Prepare(byte[] input) => input.Length == 0 ? new BodyCase(Form.PeerMessage, input) : (Form)input[0] switch
    {
        Form.PeerMessage when input.Length >= PeerMessageHeaderBytes => new MessageCase(Cut(input[1..])),
        var form => new BodyCase(form, input[1..]),
    };

    private static byte[] Valid(Form form, SeededRandom random)
    {
        var samples = new Samples(random);
        if (form != Form.PeerMessage)
        {
            return random.Next(3) switch
            {
                0 => samples.LeaderRequest().Encode(),
                1 => samples.LeaderReply().Encode(),
                _ => samples.ProbeReply().Encode(),
            };
        }

        var (header, payload) = MessageBytes.Encode(samples.PeerMessage());
        return [(byte)header.Length, (byte)(header.Length >> 8), .. header, .. payload];
    }

    private static (byte[] Header, byte[] Payload) Cut(byte[] bytes)
    {
        var size = Math.Min(BinaryPrimitives.ReadUInt16LittleEndian(bytes), bytes.Length - sizeof(ushort));
        return (bytes[sizeof(ushort)..(sizeof(ushort) + size)], bytes[(sizeof(ushort) + size)..]);
    }

    private sealed class MessageCase((byte[] Header, byte[] Payload) input) : FuzzCase
    {
        private PeerMessage? _message;

        public override void Parse() => _message = PeerMessageCodec.Decode(input.Header, input.Payload);

        public override bool IsRefusal(Exception exception) => exception is MessagePackSerializationException;

        public override void Check() => MessageBytes.RequireRoundTrip(_message!);
    }

    private sealed class BodyCase(Form form, byte[] body) : FuzzCase
    {
        private Func<byte[]>? _encode;
        private Func<byte[], byte[]>? _recode;

        public override void Parse()
        {
            switch (form)
            {
                case Form.LeaderRequest:
                    _encode = LeaderRequest.Decode(body).Encode;
                    _recode = bytes => LeaderRequest.Decode(bytes).Encode();
                    break;
                case Form.LeaderReply:
                    _encode = LeaderReply.Decode(body).Encode;
                    _recode = bytes => LeaderReply.Decode(bytes).Encode();
                    break;
                case Form.ProbeReply:
                    _encode = ProbeReply.Decode(body).Encode;
                    _recode = bytes => ProbeReply.Decode(bytes).Encode();
                    break;
                default:
                    var reader = new MessagePackReader(body);
                    reader.Skip();
                    break;
            }
        }

        public override bool IsRefusal(Exception exception) => exception is MessagePackSerializationException or InvalidDataException;

        public override void Check()
        {
            if (_encode?.Invoke() is { } encoded)
            {
                RequireSame(encoded, _recode!(encoded), "the body came back as");
            }
        }
    }
}
