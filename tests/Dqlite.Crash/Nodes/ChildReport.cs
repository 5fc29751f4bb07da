using System.Text;
using Dqlite.Crash.Ledgers;
using Microsoft.Win32.SafeHandles;

namespace Dqlite.Crash.Nodes;

/// <summary>
/// What a child says to its parent: lines on standard output, each by one write, so that what was said before a SIGKILL has been said.
/// <code>
///   i TAG, a TAG, u TAG, f TAG    a row is intended, acknowledged, unknown, failed
///   h EVENT                       an event of a history
///   WORD REST                     anything else
/// </code>
/// </summary>
internal static class ChildReport
{
    public const string HistoryWord = "h ";
    private const string TagWords = "iauf";
    private static readonly FileStream Output = new(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);

    /// <summary>Says a line. Any thread; a line is shorter than the piece that a pipe takes as a whole (4096 bytes).</summary>
    public static void Line(string line)
    {
        var bytes = Encoding.UTF8.GetBytes(line + "\n");
        lock (Output)
        {
            Output.Write(bytes);
        }
    }

    public static void Tag(TagState state, string tag) => Line($"{TagWords[(int)state]} {tag}");

    /// <summary>Reads a line about a tag.</summary>
    public static bool TryParseTag(string line, out TagState state, out string tag)
    {
        var word = line.Length > 2 && line[1] == ' ' ? TagWords.IndexOf(line[0], StringComparison.Ordinal) : -1;
        (state, tag) = word < 0 ? (default, "") : ((TagState)word, line[2..]);
        return word >= 0;
    }
}
