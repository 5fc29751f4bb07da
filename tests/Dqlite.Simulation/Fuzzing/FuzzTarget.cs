using Dqlite.Simulation.World;

namespace Dqlite.Simulation.Fuzzing;

/// <summary>What was parsed breaks a promise.</summary>
/// <param name="message">Which one, and how.</param>
internal sealed class FuzzFindException(string message) : Exception(message);

/// <summary>
/// Something that the library parses. An input is bytes and nothing else, however it came about, so that it can be kept as a file and tried
/// again for ever.
/// </summary>
internal abstract class FuzzTarget
{
    private const long BaseBytes = 4 << 20;

    /// <summary>Its name on the command line; also the directory of its corpus.</summary>
    public abstract string Name { get; }

    /// <summary>Builds a valid input with the library's own writers, and damages it mostly.</summary>
    public abstract byte[] Generate(SeededRandom random);

    /// <summary>Gets an input ready.</summary>
    public abstract FuzzCase Prepare(byte[] input);

    /// <summary>What parsing an input of this size may allocate: a length that is only claimed must not count.</summary>
    public virtual long MaxAllocatedBytes(int inputBytes) => BaseBytes + (4L * inputBytes);
}

/// <summary>One input on its way through the parser.</summary>
internal abstract class FuzzCase : IDisposable
{
    /// <summary>Parses. Its exceptions are judged by <see cref="IsRefusal"/>.</summary>
    public abstract void Parse();

    /// <summary>Whether an exception is the parser's way to say no.</summary>
    public abstract bool IsRefusal(Exception exception);

    /// <summary>What must hold of what was accepted; here every exception is a find.</summary>
    public virtual void Check()
    {
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
    }

    /// <summary>Finds when something does not hold.</summary>
    protected static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new FuzzFindException(message);
        }
    }

    /// <summary>Finds when two byte strings differ.</summary>
    protected static void RequireSame(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> found, string what) =>
        Require(expected.SequenceEqual(found), $"{what}: {Convert.ToHexString(found)} where {Convert.ToHexString(expected)} belongs");
}
