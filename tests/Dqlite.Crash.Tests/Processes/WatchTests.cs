using Dqlite.Crash.Processes;

namespace Dqlite.Crash.Tests.Processes;

/// <summary>Waiting for conditions.</summary>
public sealed class WatchTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly Watch _watch = new();

    [Test]
    public async Task A_condition_that_holds_is_not_waited_for() => await _watch.UntilAsync(() => true, TimeSpan.Zero, "it holds", CancellationToken.None);

    [Test]
    public async Task A_condition_is_looked_at_on_each_pulse()
    {
        var pulses = 0;
        var wait = _watch.UntilAsync(() => pulses == 2, Patience, "two pulses came", CancellationToken.None);
        for (; pulses < 2; pulses++)
        {
            _watch.Pulse();
            Assert.That(wait.IsCompleted, Is.False);
        }

        _watch.Pulse();
        await wait;
    }

    [Test]
    public void A_wait_in_vain_says_for_what() => Assert.That(
        async () => await _watch.UntilAsync(() => false, TimeSpan.FromMilliseconds(1), "it holds", CancellationToken.None),
        Throws.TypeOf<TimeoutException>().With.Message.Contains("that it holds"));
}
