namespace Dqlite.Net.Data;

/// <summary>What a statement begins with, as far as execution differs by it.</summary>
internal enum SqlKeyword
{
    /// <summary>Anything else.</summary>
    Other = 0,

    /// <summary>BEGIN.</summary>
    Begin,

    /// <summary>COMMIT, END, ROLLBACK, SAVEPOINT or RELEASE: ends or nests a transaction and reads nothing.</summary>
    TransactionControl,

    /// <summary>PRAGMA: some take effect when they are prepared, so they are never kept prepared.</summary>
    Pragma,

    /// <summary>ATTACH or DETACH.</summary>
    Attach,

    /// <summary>VACUUM.</summary>
    Vacuum,
}

/// <summary>Looks at the beginning of SQL text, past white space and comments. Everything else is SQLite's to judge.</summary>
internal static class SqlText
{
    /// <summary>Which kind of statement it is.</summary>
    /// <param name="sql">One statement.</param>
    public static SqlKeyword KeywordOf(ReadOnlySpan<char> sql)
    {
        var word = NextWord(ref sql);
        return word.Length switch
        {
            3 when Is(word, "END") => SqlKeyword.TransactionControl,
            5 when Is(word, "BEGIN") => SqlKeyword.Begin,
            6 when Is(word, "COMMIT") => SqlKeyword.TransactionControl,
            6 when Is(word, "PRAGMA") => SqlKeyword.Pragma,
            6 when Is(word, "ATTACH") || Is(word, "DETACH") => SqlKeyword.Attach,
            6 when Is(word, "VACUUM") => SqlKeyword.Vacuum,
            7 when Is(word, "RELEASE") => SqlKeyword.TransactionControl,
            8 when Is(word, "ROLLBACK") => SqlKeyword.TransactionControl,
            9 when Is(word, "SAVEPOINT") => SqlKeyword.TransactionControl,
            _ => SqlKeyword.Other,
        };
    }

    /// <summary>Whether a VACUUM has an INTO clause.</summary>
    /// <param name="sql">One statement that begins with VACUUM.</param>
    public static bool IsVacuumInto(ReadOnlySpan<char> sql)
    {
        // VACUUM [schema] INTO expr
        NextWord(ref sql);
        return Is(NextWord(ref sql), "INTO") || Is(NextWord(ref sql), "INTO");
    }

    /// <summary>Whether a PRAGMA may leave the connection changed: it has a value, and is none of those that take one and only read.</summary>
    /// <param name="sql">One statement that begins with PRAGMA.</param>
    public static bool ChangesConnection(ReadOnlySpan<char> sql)
    {
        var value = sql.IndexOfAny('=', '(');
        var name = PragmaName(sql);
        return value >= 0 && (sql[value] == '=' || !(StartsWith(name, "table_") || StartsWith(name, "index_") || StartsWith(name, "foreign_key_")
            || name.EndsWith("_check", StringComparison.OrdinalIgnoreCase)));
    }

    /// <summary>
    /// Whether SQLite calls a PRAGMA a writing statement though it writes no page under this VFS: the journal mode can only be asked for.
    /// </summary>
    /// <param name="sql">One statement that begins with PRAGMA.</param>
    public static bool IsHarmlessPragma(ReadOnlySpan<char> sql)
    {
        var name = PragmaName(sql);
        return Is(name, "journal_mode") || Is(name, "wal_checkpoint");
    }

    private static ReadOnlySpan<char> PragmaName(ReadOnlySpan<char> sql)
    {
        var rest = sql;
        NextWord(ref rest);
        var name = NextWord(ref rest);
        if (rest.StartsWith("."))
        {
            rest = rest[1..];
            name = NextWord(ref rest);
        }

        return name;
    }

    private static bool StartsWith(ReadOnlySpan<char> word, string start) => word.StartsWith(start, StringComparison.OrdinalIgnoreCase);

    private static bool Is(ReadOnlySpan<char> word, string keyword) => word.Equals(keyword, StringComparison.OrdinalIgnoreCase);

    private static ReadOnlySpan<char> NextWord(scoped ref ReadOnlySpan<char> sql)
    {
        SkipBlank(ref sql);
        var length = 0;
        while (length < sql.Length && (char.IsAsciiLetterOrDigit(sql[length]) || sql[length] == '_'))
        {
            length++;
        }

        // A quoted name is one word, whatever it holds.
        if (length == 0 && sql.Length > 0)
        {
            var close = sql[0] switch
            {
                '"' or '`' or '\'' => sql[1..].IndexOf(sql[0]),
                '[' => sql[1..].IndexOf(']'),
                _ => -1,
            };
            length = close < 0 ? 1 : close + 2;
        }

        var word = sql[..length];
        sql = sql[length..];
        return word;
    }

    private static void SkipBlank(scoped ref ReadOnlySpan<char> sql)
    {
        while (true)
        {
            sql = sql.TrimStart(" \t\r\n\f\uFEFF;");
            ReadOnlySpan<char> end;
            if (sql.StartsWith("--"))
            {
                end = "\n";
            }
            else if (sql.StartsWith("/*"))
            {
                end = "*/";
            }
            else
            {
                return;
            }

            var length = sql[2..].IndexOf(end);
            sql = length < 0 ? [] : sql[(2 + length + end.Length)..];
        }
    }
}
