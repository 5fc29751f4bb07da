using Dqlite.Simulation.Running;

namespace Dqlite.Simulation.Tests.Running;

internal sealed class NativeTestsTests
{
    [Test]
    public void Killers_are_read_from_what_the_shims_tests_print()
    {
        string[] lines = ["V15  The snapshot is registered.", "     snapshot: a reader between two locks", "V16  The second lock.", "     SURVIVES", "1 killed, 1 survived", ""];
        Assert.That(NativeTests.Parse(lines), Is.EqualTo(new Dictionary<int, string> { [15] = "snapshot: a reader between two locks" }));
    }
}
