using System.Security.Cryptography;
using Dqlite.Net;
using SQLitePCL;

namespace Quickstart;

/// <summary>Replicates an existing file and compares every table on every node with the original.</summary>
internal sealed class ImportCheck(string file, string database, IReadOnlyDictionary<string, string> expected)
{
    /// <summary>Imports a file under a name that is free: a second run on the same directory imports again.</summary>
    public static async Task<ImportCheck> ImportAsync(Cluster cluster, string file)
    {
        var path = Path.GetFullPath(file);
        var expected = Digest(path);
        var (leader, _) = await cluster.LeaderAsync();
        var taken = (await leader.ListDatabasesAsync()).Select(known => known.Name).ToHashSet(StringComparer.Ordinal);
        var name = Enumerable.Range(1, int.MaxValue).Select(number => $"imported-{number}").First(candidate => !taken.Contains(candidate));
        await leader.ImportAsync(name, path);
        return new ImportCheck(file, name, expected);
    }

    /// <summary>What differs, or null.</summary>
    public async Task<string?> FindDifferenceAsync(Cluster cluster)
    {
        foreach (var node in cluster.Running)
        {
            var source = await node.OpenDatabaseAsync(database, new DqliteDatabaseOptions { CreateIfMissing = false });
            await using (var connection = await source.OpenConnectionAsync())
            {
                // A linearizable read first: this node has caught up.
                await using var command = connection.CreateCommand();
                command.CommandText = "SELECT count(*) FROM sqlite_schema";
                await command.ExecuteScalarAsync();
            }

            var path = Path.Combine(Path.GetTempPath(), $"quickstart-{Guid.NewGuid():N}.db");
            try
            {
                await source.ExportAsync(path);
                var found = Digest(path);
                var different = expected.Keys.Union(found.Keys).Where(table => expected.GetValueOrDefault(table) != found.GetValueOrDefault(table)).Order(StringComparer.Ordinal).ToArray();
                if (different.Length > 0)
                {
                    return $"node {node.Id} has other contents than {file} in {string.Join(", ", different)}";
                }
            }
            finally
            {
                File.Delete(path);
            }
        }

        return null;
    }

    /// <summary>A digest of each table's rows, independent of their order, and of the schema.</summary>
    private static Dictionary<string, string> Digest(string path)
    {
        Check(raw.sqlite3_open_v2(path, out var connection, raw.SQLITE_OPEN_READONLY, null), connection);
        using (connection)
        {
            var digests = new Dictionary<string, string>(StringComparer.Ordinal) { ["the schema"] = DigestOf(connection, "SELECT type, name, tbl_name, sql FROM sqlite_schema") };
            var tables = new List<string>();
            Check(raw.sqlite3_prepare_v2(connection, "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'", out var statement), connection);
            using (statement)
            {
                while (raw.sqlite3_step(statement) == raw.SQLITE_ROW)
                {
                    tables.Add(raw.sqlite3_column_text(statement, 0).utf8_to_string());
                }
            }

            foreach (var table in tables)
            {
                digests[table] = DigestOf(connection, $"SELECT * FROM \"{table.Replace("\"", "\"\"", StringComparison.Ordinal)}\"");
            }

            return digests;
        }
    }

    private static string DigestOf(sqlite3 connection, string sql)
    {
        Check(raw.sqlite3_prepare_v2(connection, sql, out var statement), connection);
        using (statement)
        {
            var sum = new byte[32];
            long count = 0;
            var columns = raw.sqlite3_column_count(statement);
            int code;
            while ((code = raw.sqlite3_step(statement)) == raw.SQLITE_ROW)
            {
                using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
                for (var i = 0; i < columns; i++)
                {
                    hash.AppendData([(byte)raw.sqlite3_column_type(statement, i)]);
                    var value = raw.sqlite3_column_blob(statement, i);
                    hash.AppendData(BitConverter.GetBytes(value.Length));
                    hash.AppendData(value);
                }

                var row = hash.GetHashAndReset();
                for (var i = 0; i < sum.Length; i++)
                {
                    sum[i] += row[i];
                }

                count++;
            }

            return code == raw.SQLITE_DONE ? $"{count}:{Convert.ToHexString(sum)}" : throw new InvalidDataException($"SQLite cannot read the file: {raw.sqlite3_errmsg(connection).utf8_to_string()}");
        }
    }

    private static void Check(int code, sqlite3 connection)
    {
        if (code != raw.SQLITE_OK)
        {
            throw new InvalidDataException($"SQLite cannot read the file: {raw.sqlite3_errmsg(connection).utf8_to_string()}");
        }
    }
}
