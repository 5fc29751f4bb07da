using System.Diagnostics;
using System.Globalization;

namespace Dqlite.Load.Output;

/// <summary>How far a run is, on standard error: a line that is written over on a terminal, lines otherwise.</summary>
internal sealed class Progress(int total)
{
    private readonly long _began = Stopwatch.GetTimestamp();
    private int _done;

    /// <summary>Something begins.</summary>
    public void Begin(string what)
    {
        if (!Console.IsErrorRedirected)
        {
            Console.Error.Write($"\r\e[K{Position()} {what} ...");
        }
    }

    /// <summary>It has ended.</summary>
    public void End(string what)
    {
        _done++;
        var left = Stopwatch.GetElapsedTime(_began) / _done * (total - _done);
        Note(string.Create(CultureInfo.InvariantCulture, $"{Position()} {what}, {left:m\\:ss} left"));
    }

    /// <summary>Something worth a line.</summary>
    public void Note(string text) => Console.Error.WriteLine(Console.IsErrorRedirected ? text : $"\r\e[K{text}");

    private string Position() => string.Create(CultureInfo.InvariantCulture, $"[{_done}/{total}]");
}
