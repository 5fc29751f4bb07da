using System.Diagnostics;
using System.Globalization;

namespace Dqlite.Simulation.Running;

/// <summary>
/// A process that runs seeds: one a line comes in, a line for its result goes out. It is started when it is needed, and again after it died,
/// hung, or grew old.
/// </summary>
internal sealed class Worker(IReadOnlyList<string> arguments) : IDisposable
{
    private const int SeedsPerProcess = 1000;
    private static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(200);

    /// <summary>Of real time, for a seed that takes a second; what comes later is a run that never ends.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    private Process? _process;
    private Task<string>? _errors;
    private int _seeds;

    /// <summary>Runs a seed; null when the caller wants no more.</summary>
    public WorkerAnswer? Run(ulong seed, Func<bool> goesOn)
    {
        if (_seeds == SeedsPerProcess)
        {
            Dispose();
        }

        var process = _process ??= Start();
        _seeds++;
        try
        {
            process.StandardInput.WriteLine(seed.ToString(CultureInfo.InvariantCulture));
        }
        catch (IOException)
        {
            return Died(seed);
        }

        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            var reading = process.StandardOutput.ReadLineAsync();
            while (!reading.Wait(Turn))
            {
                if (!goesOn() || Stopwatch.GetElapsedTime(began) > Limit)
                {
                    Kill();
                    return goesOn() ? new WorkerAnswer(seed, $"the run did not end within {Limit.TotalSeconds} s of real time", 0, 0, null) : null;
                }
            }

            if (reading.Result is not { } line)
            {
                return Died(seed);
            }

            if (WorkerPool.Decode(line) is { } answer && answer.Seed == seed)
            {
                return answer;
            }
        }
    }

    /// <summary>The end of its input ends the process.</summary>
    public void Dispose()
    {
        if (_process is not { } process)
        {
            return;
        }

        process.StandardInput.Close();
        process.WaitForExit();
        Forget();
    }

    private Process Start()
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(typeof(Worker).Assembly.Location);
        }

        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        var process = Process.Start(start)!;
        _errors = process.StandardError.ReadToEndAsync();
        return process;
    }

    private WorkerAnswer Died(ulong seed)
    {
        _process!.WaitForExit();
        var text = _errors!.Result.Trim();
        var answer = new WorkerAnswer(seed, $"the process ended with code {_process.ExitCode}: {text[..Math.Min(text.Length, 2000)]}", 0, 0, null);
        Forget();
        return answer;
    }

    private void Kill()
    {
        _process!.Kill();
        _process.WaitForExit();
        Forget();
    }

    private void Forget()
    {
        _process!.Dispose();
        (_process, _errors, _seeds) = (null, null, 0);
    }
}
