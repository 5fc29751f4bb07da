using System.Globalization;

namespace Dqlite.Simulation.Running;

/// <summary>The options of a command line: <c>--name value</c>, and flags.</summary>
internal sealed class CommandOptions
{
    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal);

    /// <exception cref="ArgumentException">An option is not known, or has no value.</exception>
    public CommandOptions(IReadOnlyList<string> arguments, IReadOnlyList<string> known, params IReadOnlyList<string> flags)
    {
        for (var i = 0; i < arguments.Count; i++)
        {
            var name = arguments[i];
            if (flags.Contains(name))
            {
                _values[name] = "";
            }
            else if (!known.Contains(name))
            {
                throw new ArgumentException($"Unknown option {name}; known are {string.Join(", ", known.Concat(flags))}.");
            }
            else if (++i == arguments.Count)
            {
                throw new ArgumentException($"Option {name} needs a value.");
            }
            else
            {
                _values[name] = arguments[i];
            }
        }
    }

    public bool Has(string name) => _values.ContainsKey(name);

    /// <summary>Gives an option that is not there a value.</summary>
    public void SetDefault(string name, string value) => _values.TryAdd(name, value);

    public string? Find(string name) => _values.GetValueOrDefault(name);

    /// <summary>A number, or what it is otherwise.</summary>
    /// <exception cref="ArgumentException">It is none.</exception>
    public long Number(string name, long otherwise) => !_values.TryGetValue(name, out var text) ? otherwise
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
        : throw new ArgumentException($"{name} is a number, not '{text}'.");

    /// <summary>Numbers and ranges: <c>1-500,900</c>.</summary>
    /// <exception cref="ArgumentException">They are malformed.</exception>
    public static IEnumerable<ulong> Ranges(string text)
    {
        foreach (var part in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var ends = part.Split('-');
            if (ends.Length > 2 || !ulong.TryParse(ends[0], CultureInfo.InvariantCulture, out var first) || !ulong.TryParse(ends[^1], CultureInfo.InvariantCulture, out var last) || last < first)
            {
                throw new ArgumentException($"'{part}' is no number and no range such as 1-500.");
            }

            for (var seed = first; seed <= last; seed++)
            {
                yield return seed;
            }
        }
    }

    /// <summary>The tier.</summary>
    /// <exception cref="ArgumentException">There is none of that name.</exception>
    public bool IsFull => (Find("--tier") ?? "core") switch
    {
        "core" => false,
        "full" => true,
        var other => throw new ArgumentException($"There are the tiers core and full, not '{other}'."),
    };
}
