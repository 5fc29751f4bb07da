namespace Dqlite.Net.Benchmarks;

/// <summary>A new directory on the disk that is measured, removed at the end. The system's temporary directory may be memory: it is not used.</summary>
internal sealed class ScratchDirectory(string parent) : IDisposable
{
    private int _next;

    public static string DefaultParent { get; set; } = Directory.GetCurrentDirectory();

    public string Path { get; } = Directory.CreateDirectory(System.IO.Path.Combine(parent, $"bench-data-{Guid.NewGuid():N}")).FullName;

    /// <summary>A directory of its own for one measurement.</summary>
    public string Sub(string name) => Directory.CreateDirectory(System.IO.Path.Combine(Path, $"{name}-{Interlocked.Increment(ref _next)}")).FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
