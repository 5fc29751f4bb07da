using System.Globalization;

namespace Quickstart;

/// <summary>The command line: --name value, or --name alone for a switch.</summary>
internal sealed class Arguments
{
    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal);

    /// <summary>Reads a command line.</summary>
    /// <param name="args">The words.</param>
    /// <param name="known">The names; one that ends in '!' is a switch.</param>
    public static Arguments Parse(string[] args, params string[] known)
    {
        var parsed = new Arguments();
        for (var i = 0; i < args.Length; i++)
        {
            var name = args[i].StartsWith("--", StringComparison.Ordinal) ? args[i][2..] : "";
            if (known.Contains(name + "!"))
            {
                parsed._values[name] = "true";
            }
            else if (known.Contains(name) && i + 1 < args.Length)
            {
                parsed._values[name] = args[++i];
            }
            else
            {
                throw new ArgumentException($"'{args[i]}' is not an option here, or lacks its value.");
            }
        }

        return parsed;
    }

    public string? Find(string name) => _values.GetValueOrDefault(name);

    public string Get(string name) => Find(name) ?? throw new ArgumentException($"--{name} is missing.");

    public bool Has(string name) => _values.ContainsKey(name);

    public int Number(string name, int otherwise, int min, int max)
    {
        if (Find(name) is not { } text)
        {
            return otherwise;
        }

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max
            ? number
            : throw new ArgumentException($"--{name} must be a number from {min} to {max}, not '{text}'.");
    }
}
