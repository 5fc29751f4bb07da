using System.Globalization;
using System.Text;
using Dqlite.Net;

namespace Quickstart;

/// <summary>Writes from eight writers while its node leads, and keeps a ledger of what was acknowledged.</summary>
internal sealed class LedgerWriter(DqliteNode node, int id, string ledgerPath)
{
    private const int Writers = 8;
    private readonly string _prefix = string.Create(CultureInfo.InvariantCulture, $"{id}-");
    private long _sequence;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await using var ledger = OpenLedger();
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                if (node.IsLeader)
                {
                    var source = await node.OpenDatabaseAsync(Facts.Database, null, cancellationToken);
                    await PrepareAsync(source, cancellationToken);
                    await Task.WhenAll(Enumerable.Range(0, Writers).Select(_ => WriteAsync(source, ledger, cancellationToken)));
                }
            }
            catch (DqliteUnknownOutcomeException)
            {
                // The table may be there or not: it is looked for again.
            }
            catch (DqliteException exception) when (exception.IsTransient)
            {
                // Somebody else leads now, or nobody: look again. A failed node ends the process elsewhere.
            }

            await Task.Delay(1, cancellationToken);
        }
    }

    /// <summary>Goes on behind the last whole line: a kill may have cut off the one after it.</summary>
    private FileStream OpenLedger()
    {
        var ledger = new FileStream(ledgerPath, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
        var text = new byte[ledger.Length];
        ledger.ReadExactly(text);
        ledger.SetLength(text.AsSpan().LastIndexOf((byte)'\n') + 1);
        ledger.Seek(0, SeekOrigin.End);
        return ledger;
    }

    /// <summary>
    /// The sequence goes on after the highest tag that is stored. In this process it never goes back, so that a tag with an unknown outcome
    /// is not used again; and what an earlier process of this node had proposed is decided by now, since this node leads and has read.
    /// </summary>
    private async Task PrepareAsync(DqliteDataSource source, CancellationToken cancellationToken)
    {
        await using var connection = await source.OpenConnectionAsync(cancellationToken);
        await using var command = connection.CreateCommand();
        command.CommandText = "CREATE TABLE IF NOT EXISTS rows(tag TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";
        await command.ExecuteNonQueryAsync(cancellationToken);

        // '.' follows '-': every tag of this node lies between the two, and the primary key finds them.
        command.CommandText = "SELECT coalesce(max(CAST(substr(tag, length($prefix) + 1) AS INTEGER)), 0) FROM rows WHERE tag > $prefix AND tag < $end";
        command.Parameters.AddWithValue("$prefix", _prefix);
        command.Parameters.AddWithValue("$end", _prefix.Replace('-', '.'));
        var stored = Convert.ToInt64(await command.ExecuteScalarAsync(cancellationToken), CultureInfo.InvariantCulture);
        _sequence = Math.Max(_sequence, stored);
    }

    private async Task WriteAsync(DqliteDataSource source, FileStream ledger, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested && node.IsLeader)
        {
            var tag = string.Create(CultureInfo.InvariantCulture, $"{_prefix}{Interlocked.Increment(ref _sequence)}");
            try
            {
                await using var connection = await source.OpenConnectionAsync(cancellationToken);
                await using var command = connection.CreateCommand();
                command.CommandText = "INSERT INTO rows(tag, value) VALUES ($tag, $value)";
                command.Parameters.AddWithValue("$tag", tag);
                command.Parameters.AddWithValue("$value", "the value of row " + tag);
                await command.ExecuteNonQueryAsync(cancellationToken);
            }
            catch (DqliteUnknownOutcomeException)
            {
                // It may or may not be there: it is not in the ledger, and its tag is not used again.
                continue;
            }

            var line = Encoding.ASCII.GetBytes(tag + "\n");
            lock (ledger)
            {
                ledger.Write(line);
                ledger.Flush();
            }
        }
    }
}
