using System.Runtime.InteropServices;

namespace Dqlite.Crash.Processes;

/// <summary>Signals to a process, by its id.</summary>
internal static class Signals
{
    private const int SigKill = 9;
    private const int SigContinue = 18;
    private const int SigStop = 19;

    /// <summary>Stops a process in its tracks until <see cref="Continue"/>.</summary>
    public static void Stop(int process) => Send(process, SigStop);

    public static void Continue(int process) => Send(process, SigContinue);

    public static void Kill(int process) => Send(process, SigKill);

    /// <summary>Ends this process; nothing of it runs any more.</summary>
    public static void KillSelf()
    {
        Kill(Environment.ProcessId);
        Thread.Sleep(Timeout.Infinite); // until the signal is here
    }

    private static void Send(int process, int signal)
    {
        if (kill(process, signal) != 0)
        {
            throw new InvalidOperationException($"Signal {signal} could not be sent to process {process}: {Marshal.GetLastPInvokeErrorMessage()}.");
        }
    }

    [DllImport("libc", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int kill(int process, int signal);
}
