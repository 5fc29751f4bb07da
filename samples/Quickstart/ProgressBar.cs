using System.Globalization;

namespace Quickstart;

/// <summary>A line on standard error that grows; silent when that is not a terminal.</summary>
internal sealed class ProgressBar : IDisposable
{
    private const int Width = 40;
    private readonly Timer? _timer;
    private readonly long _total;
    private readonly Func<long> _done;

    public ProgressBar(long total, Func<long> done)
    {
        _total = total;
        _done = done;
        _timer = Console.IsErrorRedirected ? null : new Timer(_ => Draw(), null, 0, 100);
    }

    public void Dispose()
    {
        if (_timer is not null)
        {
            _timer.Dispose();
            Draw();
            Console.Error.WriteLine();
        }
    }

    private void Draw()
    {
        var done = _done();
        var filled = (int)(Width * done / _total);
        Console.Error.Write(string.Create(CultureInfo.InvariantCulture, $"\r[{new string('#', filled)}{new string('.', Width - filled)}] {done}/{_total} rows"));
    }
}
