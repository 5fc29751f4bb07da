namespace Dqlite.Simulation.Tests.CoreTier;

/// <summary>A directory on the real disk that goes with the test.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    private readonly string _path = Directory.CreateTempSubdirectory("dqlite-model-").FullName;

    public void Dispose() => Directory.Delete(_path, recursive: true);

    internal string File(string name) => Path.Combine(_path, name);
}
