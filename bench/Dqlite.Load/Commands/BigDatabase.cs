using System.Globalization;
using Dqlite.Load.Output;
using Dqlite.Net.Benchmarks;

namespace Dqlite.Load.Commands;

/// <summary>A database of a given size, for what depends on it.</summary>
internal static class BigDatabase
{
    public static long BytesOf(int megabytes) => (long)megabytes * 1_000_000;

    /// <exception cref="ArgumentException">One is no size.</exception>
    public static int[] ParseSizes(string text) => [.. text.Split(',').Select(Parse)];

    public static async Task FillAsync(LocalCluster cluster, int megabytes, Progress progress)
    {
        progress.Begin($"filling in {megabytes} MB");
        await BigTable.FillAsync(await cluster.SourceAsync(), BytesOf(megabytes), share => progress.Begin(string.Create(CultureInfo.InvariantCulture, $"filling in {megabytes} MB, {share:P0}")));
    }

    private static int Parse(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is >= 1 and <= 100_000
        ? number
        : throw new ArgumentException($"--megabytes must be numbers from 1 to 100000 with commas between them, not '{text}'.");
}
