using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Runtime.CompilerServices;

namespace Dqlite.Simulation.Tests;

/// <summary>The switches for known bugs exist in the simulator alone.</summary>
public sealed class ShippedAssembliesTests
{
    [TestCase("Dqlite.Raft")]
    [TestCase("Dqlite.Sqlite")]
    [TestCase("Dqlite.Net")]
    public void A_shipped_assembly_has_no_mutants(string name)
    {
        var path = Path.Combine(Root(), "src", name, "bin", Configuration(), "net10.0", name + ".dll");
        using var stream = File.OpenRead(path);
        using var portable = new PEReader(stream);
        var metadata = portable.GetMetadataReader();
        var types = metadata.TypeDefinitions.Select(handle => metadata.GetString(metadata.GetTypeDefinition(handle).Name)).ToArray();
        Assert.That(types, Is.Not.Empty);
        Assert.That(types, Has.None.Contains("Mutant"));
    }

    [Test]
    public void The_simulator_has_them() => Assert.That(typeof(Program).Assembly.GetType("Dqlite.Raft.Mutant"), Is.Not.Null);

    [Test]
    public void The_shipped_native_library_has_no_mutants()
    {
        var bytes = File.ReadAllBytes(Path.Combine(Root(), "src", "Dqlite.Sqlite", "obj", "native", Configuration(), "libdqlite_shim.so"));
        Assert.That(bytes.AsSpan().IndexOf("dq_open_databases"u8), Is.GreaterThan(0), "the library's symbols can be read");

        // Not "mutant": the debug information names the source file, which is empty there.
        Assert.That(bytes.AsSpan().IndexOf("dq_mutant_set"u8), Is.LessThan(0));
    }

    private static string Configuration() => Path.GetFileName(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)))!;

    private static string Root([CallerFilePath] string file = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, "..", ".."));
}
