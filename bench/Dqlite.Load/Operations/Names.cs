namespace Dqlite.Load.Operations;

/// <summary>The words of the command line and of the JSON lines.</summary>
internal static class Names
{
    public static string Of<T>(T value)
        where T : struct, Enum => value.ToString().ToLowerInvariant();

    public static string All<T>()
        where T : struct, Enum => string.Join(", ", Enum.GetValues<T>().Select(Of));

    public static T Parse<T>(string option, string text)
        where T : struct, Enum
    {
        foreach (var value in Enum.GetValues<T>())
        {
            if (Of(value) == text)
            {
                return value;
            }
        }

        throw new ArgumentException($"--{option} must be one of {All<T>()}, not '{text}'.");
    }
}
