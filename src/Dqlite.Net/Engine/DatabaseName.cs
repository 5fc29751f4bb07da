namespace Dqlite.Net.Engine;

/// <summary>The allow-list of database names: they become file names on every member.</summary>
internal static class DatabaseName
{
    public const int MaxLength = 64;

    /// <summary>Throws when the name is not allowed.</summary>
    /// <exception cref="ArgumentException">Says which character or length is wrong.</exception>
    public static void Validate(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (!IsValid(name))
        {
            throw new ArgumentException(
                $"'{name}' is not a database name: use 1 to {MaxLength} letters, digits, '_' or '-' (ASCII), starting with a letter, a digit or '_'.", nameof(name));
        }
    }

    public static bool IsValid(string name)
    {
        if (name.Length is 0 or > MaxLength || name[0] == '-')
        {
            return false;
        }

        foreach (var c in name)
        {
            if (!(char.IsAsciiLetterOrDigit(c) || c is '_' or '-'))
            {
                return false;
            }
        }

        return true;
    }
}
