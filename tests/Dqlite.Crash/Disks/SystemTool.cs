using System.Diagnostics;

namespace Dqlite.Crash.Disks;

/// <summary>Runs a program of the system to its end.</summary>
internal static class SystemTool
{
    /// <summary>Runs it.</summary>
    /// <exception cref="IOException">It is not there, or it failed; says what it wrote.</exception>
    public static async Task RunAsync(string program, params IEnumerable<string> words)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, words) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            var errors = process.StandardError.ReadToEndAsync();
            await process.StandardOutput.ReadToEndAsync();
            await process.WaitForExitAsync();
            if (process.ExitCode != 0)
            {
                throw new IOException($"{program} failed: {(await errors).Trim().ReplaceLineEndings(" ")}");
            }
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new IOException($"{program} cannot be started: {exception.Message}", exception);
        }
    }
}
