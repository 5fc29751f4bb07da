namespace Dqlite.Simulation.Fuzzing;

/// <summary>An input that is being tried.</summary>
internal sealed record RunningInput(FuzzTarget Target, ulong Seed, byte[] Bytes);

/// <summary>Sees that every input comes to an end. Real time, since a parser that hangs advances no other; nothing depends on it but the end of a hang.</summary>
internal sealed class Watchdog : IDisposable
{
    /// <summary>Far beyond what any input takes on a busy machine.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly Timer _timer;
    private RunningInput? _running;

    public Watchdog(Action<RunningInput> onHang) : this(onHang, Limit)
    {
    }

    public Watchdog(Action<RunningInput> onHang, TimeSpan limit)
    {
        RunningInput? seen = null;
        _timer = new Timer(_ =>
        {
            var running = Volatile.Read(ref _running);
            if (running is not null && ReferenceEquals(running, seen))
            {
                onHang(running);
            }

            seen = running;
        }, null, limit, limit);
    }

    /// <summary>An input is tried from now on.</summary>
    public void Begin(RunningInput input) => Volatile.Write(ref _running, input);

    /// <summary>It has ended.</summary>
    public void End() => Volatile.Write(ref _running, null);

    public void Dispose() => _timer.Dispose();
}
