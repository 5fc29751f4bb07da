using System.Numerics;
using System.Runtime.InteropServices;

namespace Dqlite.Net;

/// <summary>
/// Random values of the operating system. By way of <see cref="Guid.NewGuid"/>, which asks the system's cryptographic source too:
/// RandomNumberGenerator would load OpenSSL, some 6 MB of memory in a process that needs it for nothing else.
/// </summary>
internal static class SystemRandom
{
    /// <summary>An id that nobody else has: 32 hexadecimal digits, 122 of the bits random.</summary>
    public static string NewId() => Guid.NewGuid().ToString("N");

    /// <summary>64 random bits: the two halves together, so shifted that the fixed bits of one meet random ones of the other.</summary>
    public static ulong NextSalt()
    {
        var id = Guid.NewGuid();
        var halves = MemoryMarshal.Cast<Guid, ulong>(new ReadOnlySpan<Guid>(in id));
        return halves[0] ^ BitOperations.RotateLeft(halves[1], 32);
    }
}
