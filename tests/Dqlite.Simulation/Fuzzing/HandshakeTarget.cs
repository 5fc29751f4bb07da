using Dqlite.Net.Transport;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>The first bytes of a connection: preamble, Hello, and Accept or Refuse.</summary>
internal sealed class HandshakeTarget : FuzzTarget
{
    public override string Name => "handshake";

    public override byte[] Generate(SeededRandom random)
    {
        var mutator = new Mutator(random);
        var stream = Valid(random);
        if (random.Chance(0.4))
        {
            var frame = stream[HandshakeCodec.PreambleBytes..];
            var body = new MessagePackMutator(random).Mutate(frame[FrameHeader.SizeBytes..]);
            stream = [.. stream[..HandshakeCodec.PreambleBytes], .. FrameStream.WithBody(frame, body)];
        }

        if (random.Chance(0.7))
        {
            stream = mutator.Mutate(stream, () => Valid(random));
        }

        return random.Chance(0.6) && stream.Length > HandshakeCodec.PreambleBytes
            ? [.. stream[..HandshakeCodec.PreambleBytes], .. FrameStream.FixChecksums(stream[HandshakeCodec.PreambleBytes..])]
            : stream;
    }

    public override FuzzCase Prepare(byte[] input) => new Case(input);

    private static byte[] Valid(SeededRandom random) => random.Next(4) switch
    {
        0 => HandshakeCodec.RefuseAtOnce("no room"),
        1 => [.. HandshakeCodec.Introduce(new Samples(random).Hello()), .. HandshakeCodec.Refuse("no")],
        _ => [.. HandshakeCodec.Introduce(new Samples(random).Hello()), .. HandshakeCodec.Accept()],
    };

    private sealed class Case(byte[] input) : FuzzCase
    {
        private Hello? _hello;

        public override void Parse() => _hello = Read(input);

        public override bool IsRefusal(Exception exception) => exception is PeerProtocolException or PeerRefusedException;

        public override void Check()
        {
            if (_hello is { } hello)
            {
                HandshakeCodec.Check(hello, _ => HandshakeVerdict.Accept);
                Require(Read(HandshakeCodec.Introduce(hello)) == hello, $"{hello} did not come back");
            }
        }

        private static Hello? Read(byte[] stream)
        {
            using var parser = new FrameParser();
            Hello? hello = null;
            var hasPreamble = false;
            Span<byte> preamble = stackalloc byte[HandshakeCodec.PreambleBytes];
            foreach (var piece in FrameStream.Pieces(stream))
            {
                FrameStream.Put(parser, piece.Span);
                if (!hasPreamble && parser.TryReadExactly(preamble))
                {
                    HandshakeCodec.ReadPreamble(preamble);
                    hasPreamble = true;
                }

                while (hasPreamble && parser.TryRead(FrameHeader.MaxHandshakeBytes, out var header, out var body))
                {
                    if (hello is null)
                    {
                        hello = HandshakeCodec.ReadHello(header, body);
                    }
                    else
                    {
                        HandshakeCodec.ReadAccept(header, body);
                    }
                }
            }

            return hello;
        }
    }
}
