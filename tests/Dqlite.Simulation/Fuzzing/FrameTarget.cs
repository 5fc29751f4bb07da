using Dqlite.Net.Transport;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>What arrives on a connection after the handshake: frames, put together to messages. The input is the stream of bytes; in what pieces
/// it arrives follows from its checksum.</summary>
internal sealed class FrameTarget : FuzzTarget
{
    public override string Name => "frames";

    public override byte[] Generate(SeededRandom random)
    {
        var mutator = new Mutator(random);
        var frames = Frames(random);
        if (random.Chance(0.5))
        {
            frames = MutateFrames(frames, random, mutator);
        }

        byte[] stream = [.. frames.SelectMany(frame => frame)];
        if (random.Chance(0.5))
        {
            stream = mutator.Mutate(stream, () => [.. Frames(random).SelectMany(frame => frame)]);
        }

        return random.Chance(0.5) ? FrameStream.FixChecksums(stream) : stream;
    }

    public override FuzzCase Prepare(byte[] input) => new Case(input);

    /// <summary>Each channel may hold one message whose claim is believed up to 2 MiB.</summary>
    public override long MaxAllocatedBytes(int inputBytes) => base.MaxAllocatedBytes(inputBytes) + (FrameHeader.ChannelCount * (2L << 20));

    /// <summary>Messages of several channels, cut to fragments that take turns.</summary>
    private static List<byte[]> Frames(SeededRandom random)
    {
        var samples = new Samples(random);
        var messages = Enumerable.Range(0, random.Between(1, 5)).Select(_ => PeerMessageCodec.Encode(samples.PeerMessage(), MessageBytes.MaxBytes)).ToList();
        var frames = new List<byte[]>();
        var batch = new FrameBatch();
        while (messages.Count > 0)
        {
            // Order is kept within a channel: the first message of a channel has the turn.
            var channel = random.Pick(messages).Channel;
            var message = messages.First(waiting => waiting.Channel == channel);
            batch.Clear();
            batch.Add(message, random.Pick([1, 16, 100, 1000, 100_000]));
            frames.Add(batch.TryGetSpan(out var bytes) ? bytes.ToArray() : [.. batch.GetPieces().SelectMany(piece => piece)]);
            if (message.IsDone)
            {
                messages.Remove(message);
            }
        }

        return frames;
    }

    private static List<byte[]> MutateFrames(List<byte[]> frames, SeededRandom random, Mutator mutator)
    {
        var at = random.Next(frames.Count);
        var frame = frames[at];
        switch (random.Next(6))
        {
            case 0:
                frames.RemoveAt(at);
                break;
            case 1:
                frames.Insert(random.Next(frames.Count + 1), frame);
                break;
            case 2:
                var other = random.Next(frames.Count);
                (frames[at], frames[other]) = (frames[other], frame);
                break;
            case 3:
                frames[at] = mutator.SetNumber(frame, 4 * random.Next(5), 4);
                break;
            case 4:
                frames[at] = mutator.SetNumber(frame, random.Between(4, 6), 1);
                break;
            default:
                var body = new MessagePackMutator(random).Mutate(frame[FrameHeader.SizeBytes..]);
                frames[at] = FrameStream.WithBody(frame, body);
                break;
        }

        return frames;
    }

    private sealed class Case(byte[] input) : FuzzCase
    {
        private readonly List<PeerMessage> _messages = [];

        public override void Parse()
        {
            using var parser = new FrameParser();
            var assemblers = Enumerable.Range(0, FrameHeader.ChannelCount).Select(_ => new MessageAssembler()).ToArray();
            foreach (var piece in FrameStream.Pieces(input))
            {
                FrameStream.Put(parser, piece.Span);
                while (parser.TryRead(MessageBytes.MaxBytes, out var header, out var body))
                {
                    // As the connection does it: after the handshake nothing but messages.
                    var message = header.Type == FrameType.Message ? assemblers[(int)header.Channel].Add(header, body) : throw new PeerProtocolException("no message");
                    if (message is not null)
                    {
                        _messages.Add(message);
                    }
                }
            }
        }

        public override bool IsRefusal(Exception exception) => exception is PeerProtocolException or MessagePackSerializationException;

        public override void Check() => _messages.ForEach(MessageBytes.RequireRoundTrip);
    }
}
