using Dqlite.Crash.Nodes;

namespace Dqlite.Crash.Calls;

/// <summary>A node refused to start, stopped by itself or could not stop politely, with an error of the library: the rest of the scenario cannot be played.</summary>
/// <param name="message">Which, and why.</param>
/// <param name="cause">The node's error.</param>
internal sealed class ScenarioEndedException(string message, Exception cause) : Exception(message, cause)
{
    public const string Word = "ended ";

    /// <summary>Tells the parent.</summary>
    public void Say() => ChildReport.Line(Word + Message.ReplaceLineEndings(" "));
}
