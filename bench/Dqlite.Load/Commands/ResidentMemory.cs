using System.Globalization;

namespace Dqlite.Load.Commands;

/// <summary>The highest resident memory of a process (VmHWM of Linux).</summary>
internal static class ResidentMemory
{
    private const string Key = "VmHWM:";

    /// <summary>From now on the peak counts anew.</summary>
    public static void ForgetPeak(int processId) => File.WriteAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{processId}/clear_refs"), "5");

    public static double PeakMegabytes(int processId)
    {
        var line = File.ReadLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{processId}/status")).First(line => line.StartsWith(Key, StringComparison.Ordinal));
        return double.Parse(line[Key.Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture) / 1024;
    }
}
