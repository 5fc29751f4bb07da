namespace Dqlite.Load.Operations;

/// <summary>Values that differ, made ahead of time: what is measured should not be the making of them.</summary>
internal static class Values
{
    private const int Count = 32;
    private const string Letters = "0123456789abcdef";

    public static object[] Texts(int length, int seed)
    {
        var random = new Random(seed);
        return Make(() => random.GetString(Letters, length));
    }

    public static object[] Blobs(int length, int seed)
    {
        var random = new Random(seed);
        return Make(() =>
        {
            var value = new byte[length];
            random.NextBytes(value);
            return value;
        });
    }

    private static object[] Make(Func<object> make) => Enumerable.Range(0, Count).Select(_ => make()).ToArray();
}
