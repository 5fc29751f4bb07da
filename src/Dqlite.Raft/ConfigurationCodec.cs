using System.Buffers.Binary;
using System.Text;

namespace Dqlite.Raft;

/// <summary>The bytes are not an encoded membership.</summary>
/// <param name="message">What is wrong with them.</param>
public sealed class ConfigurationFormatException(string message) : Exception(message);

/// <summary>
/// Memberships as bytes: the payload of configuration entries. The byte table is in docs/formats/configuration.md, and golden bytes in
/// the tests hold it still.
/// </summary>
public static class ConfigurationCodec
{
    /// <summary>Most members of an encoded membership.</summary>
    public const int MaxMembers = 1024;

    /// <summary>Most UTF-8 bytes of an address or incarnation.</summary>
    public const int MaxTextBytes = 512;

    private const uint Magic = 0x4643_5144; // "DQCF"
    private const ushort Version = 1;
    private const int HeaderBytes = 8;

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Encodes a membership.</summary>
    /// <param name="configuration">The membership.</param>
    /// <exception cref="ArgumentException">More than <see cref="MaxMembers"/> members, or a text above <see cref="MaxTextBytes"/>.</exception>
    public static byte[] Encode(ClusterConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        if (configuration.Members.Count > MaxMembers)
        {
            throw new ArgumentException($"{configuration.Members.Count} members; at most {MaxMembers} can be encoded.", nameof(configuration));
        }

        var bytes = new List<byte>(HeaderBytes + (configuration.Members.Count * 64));
        AppendUInt32(bytes, Magic);
        AppendUInt16(bytes, Version);
        AppendUInt16(bytes, (ushort)configuration.Members.Count);
        foreach (var member in configuration.Members)
        {
            AppendUInt32(bytes, (uint)(member.Id.Value & 0xFFFF_FFFF));
            AppendUInt32(bytes, (uint)(member.Id.Value >> 32));
            bytes.Add((byte)member.Role);
            AppendText(bytes, member.Address);
            AppendText(bytes, member.Incarnation);
        }

        return bytes.ToArray();
    }

    /// <summary>Decodes a membership.</summary>
    /// <param name="bytes">Exactly the bytes that <see cref="Encode"/> made.</param>
    /// <exception cref="ConfigurationFormatException">They are anything else.</exception>
    public static ClusterConfiguration Decode(ReadOnlySpan<byte> bytes)
    {
        if (ReadUInt32(ref bytes) != Magic)
        {
            throw new ConfigurationFormatException("The bytes do not start with the magic of a membership.");
        }

        var version = ReadUInt16(ref bytes);
        if (version != Version)
        {
            throw new ConfigurationFormatException($"Version {version} of the membership format is not known.");
        }

        var count = ReadUInt16(ref bytes);
        if (count > MaxMembers)
        {
            throw new ConfigurationFormatException($"{count} members; at most {MaxMembers} are allowed.");
        }

        var members = new List<ClusterMember>(count);
        for (var i = 0; i < count; i++)
        {
            members.Add(ReadMember(ref bytes, i == 0 ? 0 : members[i - 1].Id.Value));
        }

        return bytes.IsEmpty
            ? new ClusterConfiguration(members)
            : throw new ConfigurationFormatException($"{bytes.Length} bytes stand behind the last member.");
    }

    private static ClusterMember ReadMember(ref ReadOnlySpan<byte> bytes, long previousId)
    {
        var id = BinaryPrimitives.ReadInt64LittleEndian(Take(ref bytes, sizeof(long)));
        if (id <= previousId)
        {
            throw new ConfigurationFormatException($"Node id {id} is not above {previousId}.");
        }

        var role = (MemberRole)Take(ref bytes, 1)[0];
        if (role is not (MemberRole.Voter or MemberRole.NonVoter))
        {
            throw new ConfigurationFormatException($"Role {(byte)role} of node {id} is not known.");
        }

        return new ClusterMember(new NodeId(id), ReadText(ref bytes), ReadText(ref bytes), role);
    }

    private static void AppendText(List<byte> bytes, string text)
    {
        var encoded = Utf8.GetBytes(text);
        if (encoded.Length > MaxTextBytes)
        {
            throw new ArgumentException($"A text of {encoded.Length} bytes; at most {MaxTextBytes} can be encoded.", nameof(text));
        }

        AppendUInt16(bytes, (ushort)encoded.Length);
        bytes.AddRange(encoded);
    }

    private static string ReadText(ref ReadOnlySpan<byte> bytes)
    {
        var length = ReadUInt16(ref bytes);
        if (length > MaxTextBytes)
        {
            throw new ConfigurationFormatException($"A text of {length} bytes; at most {MaxTextBytes} are allowed.");
        }

        try
        {
            return Utf8.GetString(Take(ref bytes, length));
        }
        catch (ArgumentException)
        {
            throw new ConfigurationFormatException("A text is not valid UTF-8.");
        }
    }

    private static void AppendUInt16(List<byte> bytes, ushort value)
    {
        bytes.Add((byte)value);
        bytes.Add((byte)(value >> 8));
    }

    private static void AppendUInt32(List<byte> bytes, uint value)
    {
        AppendUInt16(bytes, (ushort)value);
        AppendUInt16(bytes, (ushort)(value >> 16));
    }

    private static ushort ReadUInt16(ref ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt16LittleEndian(Take(ref bytes, sizeof(ushort)));

    private static uint ReadUInt32(ref ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt32LittleEndian(Take(ref bytes, sizeof(uint)));

    private static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> bytes, int count)
    {
        if (bytes.Length < count)
        {
            throw new ConfigurationFormatException($"The bytes end {count - bytes.Length} too early.");
        }

        var taken = bytes[..count];
        bytes = bytes[count..];
        return taken;
    }
}
