using System.Diagnostics;

namespace Dqlite.Crash.Processes;

/// <summary>This program again, in a process of its own, that says what it does in lines. Disposing kills it.</summary>
internal sealed class ChildProcess : IDisposable
{
    private const int KeptErrors = 8;
    private readonly Process _process;
    private readonly List<string> _errors = [];
    private readonly Task _output;
    private readonly Task _errorOutput;

    private ChildProcess(ProcessStartInfo start, Action<string?> onLine)
    {
        _process = Process.Start(start) ?? throw new InvalidOperationException("No process was started.");
        _output = ReadAsync(_process.StandardOutput, onLine);
        _errorOutput = ReadAsync(_process.StandardError, KeepError);
    }

    public int Id => _process.Id;

    /// <summary>Once it has ended. 128 and the signal's number for one that was killed.</summary>
    public int ExitCode => _process.ExitCode;

    /// <summary>What it wrote first on standard error, in one line.</summary>
    public string Errors
    {
        get
        {
            lock (_errors)
            {
                return string.Join(" | ", _errors);
            }
        }
    }

    /// <summary>Starts it.</summary>
    /// <param name="onLine">Gets each line of its standard output, also those that are read after its death, and then null. On a thread of its own.</param>
    /// <param name="words">Its command line.</param>
    public static ChildProcess Start(Action<string?> onLine, params IEnumerable<string> words) => new(
        new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, typeof(ChildProcess).Assembly.GetName().Name!), words)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        },
        onLine);

    public void Kill() => _process.Kill();

    public void Pause() => Signals.Stop(Id);

    public void Continue() => Signals.Continue(Id);

    /// <summary>Closes its standard input, which asks it to end.</summary>
    public void EndInput() => _process.StandardInput.Close();

    /// <summary>Waits until it has ended and its last line has been handed on.</summary>
    /// <returns>Null, or what is to be seen of a process that did not end in time; it is killed then.</returns>
    public async Task<string?> EndAsync(TimeSpan patience, CancellationToken stop)
    {
        string? hang = null;
        try
        {
            await _process.WaitForExitAsync(stop).WaitAsync(patience, stop);
        }
        catch (TimeoutException)
        {
            hang = $"process {Id} did not end within {patience.TotalSeconds:0} s; {HangReport.Describe(Id)}";
            _process.Kill();
        }

        await Task.WhenAll(_output, _errorOutput);
        return hang;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }

        Task.WaitAll(_output, _errorOutput);
        _process.Dispose();
    }

    private static Task ReadAsync(StreamReader reader, Action<string?> onLine)
    {
        void Read()
        {
            while (reader.ReadLine() is { } line)
            {
                onLine(line);
            }

            onLine(null);
        }

        return Task.Factory.StartNew(Read, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    private void KeepError(string? line)
    {
        if (line is null)
        {
            return;
        }

        lock (_errors)
        {
            if (_errors.Count < KeptErrors)
            {
                _errors.Add(line);
            }
        }
    }
}
