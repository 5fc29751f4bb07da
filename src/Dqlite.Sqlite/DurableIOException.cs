using System.Runtime.InteropServices;

namespace Dqlite.Sqlite;

/// <summary>A file operation failed. Unlike .NET's own flush, <see cref="DurableFile"/> reports every failure.</summary>
public sealed class DurableIOException : IOException
{
    private const int NoSpace = 28;
    private const int QuotaExceeded = 122;

    /// <summary>Describes a failure.</summary>
    /// <param name="errno">The system's error number, positive.</param>
    /// <param name="operation">What was attempted.</param>
    /// <param name="path">On which file.</param>
    public DurableIOException(int errno, string operation, string path)
        : base($"'{operation}' of '{path}' failed: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno}).")
    {
        Errno = errno;
        Operation = operation;
        Path = path;
    }

    /// <summary>The system's error number.</summary>
    public int Errno { get; }

    /// <summary>What was attempted.</summary>
    public string Operation { get; }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Whether the disk or the quota is full (ENOSPC, EDQUOT).</summary>
    public bool IsDiskFull => Errno is NoSpace or QuotaExceeded;
}
