using System.Buffers.Binary;
using System.Globalization;
using Dqlite.Net;
using Dqlite.Net.Storage;
using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>Damages the files of a log.</summary>
internal sealed class LogDamage(SeededRandom random)
{
    private const int SegmentHeaderFields = 64;
    private const int RecordCrcBytes = 4;

    private readonly Mutator _mutator = new(random);

    /// <summary>Damages one to three places.</summary>
    public void Apply(List<FuzzFile> files)
    {
        for (var i = random.Between(1, 3); i > 0 && files.Count > 0; i--)
        {
            // The end of the log is where a torn tail and damage must be told apart.
            var at = random.Chance(0.5) ? files.Count - 1 : random.Next(files.Count);
            if (random.Chance(0.85))
            {
                files[at] = files[at] with { Content = DamageContent(files[at].Content) };
            }
            else
            {
                DamageNames(files, at);
            }
        }
    }

    /// <summary>Makes the checksums of a segment's header and records right.</summary>
    public static byte[] FixChecksums(byte[] content)
    {
        if (content.Length < LogFormat.SegmentHeaderBytes)
        {
            return content;
        }

        var fixedContent = (byte[])content.Clone();
        var bytes = fixedContent.AsSpan();
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[(SegmentHeaderFields - sizeof(uint))..], Crc32C.Compute(bytes[..(SegmentHeaderFields - sizeof(uint))]));
        var salt = BinaryPrimitives.ReadUInt64LittleEndian(bytes[24..]);
        for (var offset = LogFormat.SegmentHeaderBytes; offset + LogFormat.RecordHeaderBytes <= bytes.Length;)
        {
            var record = bytes[offset..];
            var size = BinaryPrimitives.ReadInt32LittleEndian(record[RecordCrcBytes..]);
            if (record[..LogFormat.RecordHeaderBytes].IndexOfAnyExcept((byte)0) < 0 || size < 0 || size > record.Length - LogFormat.RecordHeaderBytes)
            {
                offset += LogFormat.RecordAlignment;
                continue;
            }

            var covered = record[RecordCrcBytes..(LogFormat.RecordHeaderBytes + size)];
            BinaryPrimitives.WriteUInt32LittleEndian(record, Crc32C.Finish(Crc32C.Append(Crc32C.Append(Crc32C.Initial, salt), covered)));
            offset = (int)Math.Min(bytes.Length, offset + LogFormat.RecordSize(size));
        }

        return fixedContent;
    }

    private byte[] DamageContent(byte[] content)
    {
        var records = Records(content);
        if (records.Count == 0 || random.Chance(0.1))
        {
            return content.Length >= SegmentHeaderFields && random.Chance(0.6) ? _mutator.SetNumber(content, 8 * random.Next(7), 8) : _mutator.Corrupt(content);
        }

        var record = random.Chance(0.4) ? records[^1] : random.Pick(records);
        var used = content[..records[^1].End.Value];
        return random.Next(10) switch
        {
            0 => content[..random.Between(0, content.Length)],
            1 => content[..random.Between(record.Start.Value, record.End.Value)],
            2 => [.. content, .. _mutator.RandomBytes(random.Next(200))],
            3 => Overwrite(content, record.Start.Value, content[random.Pick(records)]),
            4 => Overwrite(content, used.Length, content[random.Pick(records)]),
            5 => Overwrite(content, record.Start.Value, new byte[content.Length - record.Start.Value]),
            6 => _mutator.SetNumber(content, record.Start.Value + random.Pick([4, 16, 24, 32, 40]), random.Pick([4, 8])),
            7 => _mutator.SetNumber(content, record.Start.Value + random.Pick([8, 9, 10, 12]), 1),
            8 => Overwrite(content, LogFormat.SegmentHeaderBytes, _mutator.Corrupt(used[LogFormat.SegmentHeaderBytes..])),
            _ => Overwrite(content, record.Start.Value, _mutator.Corrupt(content[record])),
        };
    }

    private void DamageNames(List<FuzzFile> files, int at)
    {
        var other = random.Next(files.Count);
        switch (random.Next(5))
        {
            case 0:
                files.RemoveAt(at);
                break;
            case 1:
                (files[at], files[other]) = (files[at] with { Content = files[other].Content }, files[other] with { Content = files[at].Content });
                break;
            case 2:
                files[at] = files[at] with { Content = files[other].Content };
                break;
            case 3 when files.Count > 1: // alone it would be whole, and nothing could tell
                var foreign = LogSample.Write(random.Stream("foreign")).Files;
                files[at] = files[at] with { Content = random.Pick(foreign).Content };
                break;
            default:
                var name = random.Pick([".segment", ".tmp", ".spare", LogSegment.NameOf(random.Between(0, 12)), LogSegment.NameOf(9_999_999_999_999_999)]);
                name = name.StartsWith('.') ? string.Create(CultureInfo.InvariantCulture, $"{random.Next(20):D16}{name}") : name;
                files.RemoveAll(file => file.Name == name);
                files.Add(new FuzzFile(name, random.Chance(0.5) || files.Count == 0 ? _mutator.RandomBytes(random.Next(5000)) : random.Pick(files).Content));
                break;
        }
    }

    private static List<Range> Records(byte[] content)
    {
        var records = new List<Range>();
        if (LogFormat.ReadSegmentHeader(content, out var header) is null)
        {
            for (long offset = LogFormat.SegmentHeaderBytes; offset < content.Length && LogFormat.TryReadRecord(content.AsSpan((int)offset), header.Salt, out var record);)
            {
                var end = Math.Min(content.Length, offset + record.SizeBytes);
                records.Add((int)offset..(int)end);
                offset = end;
            }
        }

        return records;
    }

    private static byte[] Overwrite(byte[] content, int offset, byte[] by)
    {
        var copy = (byte[])content.Clone();
        by.AsSpan(0, Math.Min(by.Length, copy.Length - offset)).CopyTo(copy.AsSpan(offset));
        return copy;
    }
}
