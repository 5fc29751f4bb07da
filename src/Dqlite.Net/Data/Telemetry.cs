using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Dqlite.Net.Data;

/// <summary>
/// What the library reports, under the name "Dqlite.Net": OpenTelemetry's names for database clients here, and room for others
/// (dqlite.raft.*) on the same <see cref="Meter"/>. Costs nothing while nobody listens.
/// </summary>
internal static class Telemetry
{
    /// <summary>Name of the ActivitySource and of the Meter.</summary>
    public const string Name = "Dqlite.Net";

    private const string SystemTag = "db.system.name";
    private const string SystemName = "sqlite";
    private const string NamespaceTag = "db.namespace";
    private const string PoolTag = "db.client.connection.pool.name";

    private static readonly KeyValuePair<string, object?> Idle = new("db.client.connection.state", "idle");
    private static readonly KeyValuePair<string, object?> Used = new("db.client.connection.state", "used");

    private static readonly ActivitySource Source = new(Name);
    private static readonly Histogram<double> OperationDuration = Meter.CreateHistogram<double>(
        "db.client.operation.duration", "s", "Duration of database client operations.");
    private static readonly UpDownCounter<long> ConnectionCount = Meter.CreateUpDownCounter<long>(
        "db.client.connection.count", "{connection}", "Connections that are in the state described by the state attribute.");

    /// <summary>For instruments of other parts of the library.</summary>
    public static Meter Meter => MeterHolder.Instance;

    /// <summary>Starts the report of one command.</summary>
    /// <param name="database">Name of the database.</param>
    /// <param name="commandText">Its SQL; goes into the trace only.</param>
    public static Operation Start(string database, string commandText)
    {
        var activity = Source.HasListeners() ? Source.StartActivity(database, ActivityKind.Client) : null;
        if (activity is { IsAllDataRequested: true })
        {
            activity.SetTag(SystemTag, SystemName);
            activity.SetTag(NamespaceTag, database);
            activity.SetTag("db.query.text", commandText);
        }

        return new Operation(database, activity, OperationDuration.Enabled ? Stopwatch.GetTimestamp() : 0);
    }

    /// <summary>A connection is used.</summary>
    /// <param name="pool">Name of the pool.</param>
    /// <param name="fromIdle">It was idle before.</param>
    public static void Rented(string pool, bool fromIdle)
    {
        if (ConnectionCount.Enabled)
        {
            var name = new KeyValuePair<string, object?>(PoolTag, pool);
            ConnectionCount.Add(1, Used, name);
            ConnectionCount.Add(fromIdle ? -1 : 0, Idle, name);
        }
    }

    /// <summary>A connection is not used any more.</summary>
    /// <param name="pool">Name of the pool.</param>
    /// <param name="toIdle">It is kept.</param>
    public static void Returned(string pool, bool toIdle)
    {
        if (ConnectionCount.Enabled)
        {
            var name = new KeyValuePair<string, object?>(PoolTag, pool);
            ConnectionCount.Add(-1, Used, name);
            ConnectionCount.Add(toIdle ? 1 : 0, Idle, name);
        }
    }

    /// <summary>One command.</summary>
    internal readonly struct Operation(string database, Activity? activity, long startedAt)
    {
        /// <summary>Ends it.</summary>
        /// <param name="error">What it failed with, or null.</param>
        public void End(Exception? error)
        {
            if (activity is null && startedAt == 0)
            {
                return;
            }

            var errorType = error switch
            {
                null => null,
                DqliteException e => e.SqliteExtendedErrorCode.ToString(System.Globalization.CultureInfo.InvariantCulture),
                _ => error.GetType().FullName,
            };
            if (activity is not null)
            {
                if (error is not null)
                {
                    activity.SetStatus(ActivityStatusCode.Error, error.Message);
                    activity.SetTag("error.type", errorType);
                }

                activity.Dispose();
            }

            if (startedAt != 0)
            {
                var tags = new TagList { { SystemTag, SystemName }, { NamespaceTag, database } };
                if (errorType is not null)
                {
                    tags.Add("error.type", errorType);
                }

                OperationDuration.Record(Stopwatch.GetElapsedTime(startedAt).TotalSeconds, tags);
            }
        }
    }

    // Apart, so that it exists before the instruments that are made from it.
    private static class MeterHolder
    {
        public static readonly Meter Instance = new(Name);
    }
}
