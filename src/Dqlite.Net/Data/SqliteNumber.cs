using System.Globalization;

namespace Dqlite.Net.Data;

/// <summary>SQLite's conversions between numbers and text, for rows that no longer lie in SQLite. Source: "Datatypes In SQLite", CAST.</summary>
internal static class SqliteNumber
{
    /// <summary>A real as an integer: cut, and held within the range.</summary>
    public static long ToInt64(double value) => value switch
    {
        <= long.MinValue => long.MinValue,
        >= long.MaxValue => long.MaxValue,
        _ => (long)value,
    };

    /// <summary>The longest prefix that is an integer, else 0.</summary>
    public static long IntegerPrefix(string text)
    {
        var span = text.AsSpan().TrimStart(" \t\n\v\f\r");
        var length = span.Length > 0 && span[0] is '+' or '-' ? 1 : 0;
        while (length < span.Length && char.IsAsciiDigit(span[length]))
        {
            length++;
        }

        if (long.TryParse(span[..length], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value))
        {
            return value;
        }

        return length > 1 ? span[0] == '-' ? long.MinValue : long.MaxValue : 0;
    }

    /// <summary>The longest prefix that is a number, else 0.</summary>
    public static double RealPrefix(string text)
    {
        var span = text.AsSpan().TrimStart(" \t\n\v\f\r");
        var length = 0;
        for (var i = 1; i <= span.Length; i++)
        {
            if (char.IsAsciiDigit(span[i - 1]) || span[i - 1] == '.')
            {
                length = i;
            }
            else if (span[i - 1] is not ('+' or '-' or 'e' or 'E'))
            {
                break;
            }
        }

        // What was found is a superset of a number ("1-2"), so it is shortened until it is one.
        const NumberStyles Style = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        double value;
        while (!double.TryParse(span[..length], Style, CultureInfo.InvariantCulture, out value) && length > 0)
        {
            length--;
        }

        return length == 0 ? 0 : value;
    }

    /// <summary>A real as text: 15 significant digits, with a decimal point.</summary>
    public static string ToText(double value)
    {
        if (double.IsInfinity(value))
        {
            return value > 0 ? "Inf" : "-Inf";
        }

        var digits = value.ToString("E14", CultureInfo.InvariantCulture);
        var exponent = int.Parse(digits.AsSpan(digits.IndexOf('E') + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        if (exponent is >= -4 and < 15)
        {
            var fixedText = value.ToString("F" + Math.Max(0, 14 - exponent).ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
            return fixedText.Contains('.') ? WithFraction(fixedText.TrimEnd('0')) : fixedText + ".0";
        }

        var mantissa = WithFraction(digits[..digits.IndexOf('E')].TrimEnd('0'));
        return string.Create(CultureInfo.InvariantCulture, $"{mantissa}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}");
    }

    private static string WithFraction(string text) => text.EndsWith('.') ? text + "0" : text;
}
