using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Dqlite.Raft;

/// <summary>Assertions that stay on in Release: a broken one stops the node, which fails over.</summary>
internal static class Invariant
{
    /// <summary>Throws when <paramref name="holds"/> is false; the text is only built then.</summary>
    public static void Check([DoesNotReturnIf(false)] bool holds, [InterpolatedStringHandlerArgument(nameof(holds))] ref Text text)
    {
        if (!holds)
        {
            throw new RaftInvariantException(text.ToStringAndClear());
        }
    }

    public static void Check([DoesNotReturnIf(false)] bool holds, string text)
    {
        if (!holds)
        {
            throw new RaftInvariantException(text);
        }
    }

    /// <summary>Builds the text of a failed check, and nothing while the check holds.</summary>
    [InterpolatedStringHandler]
    public ref struct Text
    {
        private DefaultInterpolatedStringHandler _inner;

        public Text(int literalLength, int formattedCount, bool holds, out bool isFailure)
        {
            isFailure = !holds;
            _inner = isFailure ? new DefaultInterpolatedStringHandler(literalLength, formattedCount) : default;
        }

        public void AppendLiteral(string value) => _inner.AppendLiteral(value);

        public void AppendFormatted<T>(T value) => _inner.AppendFormatted(value);

        public string ToStringAndClear() => _inner.ToStringAndClear();
    }
}
