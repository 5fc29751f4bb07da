using System.Globalization;

namespace Dqlite.Crash.Processes;

/// <summary>What can be seen of a process that hangs, before it is killed.</summary>
internal static class HangReport
{
    /// <summary>The threads by name, with what the kernel says they wait for, and how to see more.</summary>
    public static string Describe(int process)
    {
        var tasks = $"/proc/{process.ToString(CultureInfo.InvariantCulture)}/task";
        var threads = Directory.GetDirectories(tasks).Order(StringComparer.Ordinal).Select(task => $"{Read(task, "comm")} in {Read(task, "wchan")}");
        return $"threads: {string.Join(", ", threads)}. For managed stacks run it again by its own command line and then 'dotnet-stack report -p PID' while it hangs";
    }

    private static string Read(string task, string file)
    {
        try
        {
            return File.ReadAllText(Path.Combine(task, file)).Trim();
        }
        catch (IOException)
        {
            // The thread has ended meanwhile.
            return "?";
        }
    }
}
