using System.Globalization;

namespace Quickstart;

/// <summary>A bar on standard error: redrawn in place on a terminal, else a line for each tenth.</summary>
internal sealed class ProgressBar : IDisposable
{
    private const int Width = 40;
    private readonly Lock _lock = new();
    private readonly bool _inPlace = !Console.IsErrorRedirected;
    private readonly Timer _timer;
    private readonly long _total;
    private readonly Func<long> _done;
    private long _shownTenths = -1;

    public ProgressBar(long total, Func<long> done)
    {
        _total = total;
        _done = done;
        _timer = new Timer(_ => Draw(), null, 0, 100);
    }

    public void Dispose()
    {
        _timer.Dispose();
        Draw();
        if (_inPlace)
        {
            Console.Error.WriteLine();
        }
    }

    private void Draw()
    {
        lock (_lock)
        {
            var done = _done();
            var tenths = 10 * done / _total;
            if (!_inPlace && tenths == _shownTenths)
            {
                return;
            }

            _shownTenths = tenths;
            var filled = (int)(Width * done / _total);
            var bar = string.Create(CultureInfo.InvariantCulture, $"[{new string('#', filled)}{new string('.', Width - filled)}] {done}/{_total} rows");
            Console.Error.Write(_inPlace ? "\r" + bar : bar + "\n");
        }
    }
}
