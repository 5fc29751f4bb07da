using System.Globalization;
using System.Text.Json;
using Dqlite.Load.Operations;
using Dqlite.Net;

namespace Dqlite.Load.Clusters;

/// <summary>One node in a process of its own, with the clients when it leads. Does what its parent asks until its input ends.</summary>
internal sealed class MemberCommand : IAsyncDisposable
{
    public const string Name = "member";
    private const int WarmUpCommits = 300;
    private static readonly DqliteNodeOptions Defaults = new() { DataDirectory = "." };
    private readonly UsageMeter _usage = new();
    private readonly DqliteNode _node;
    private ClusterDatabase? _database;
    private LoadSession? _session;
    private LeaderWriters? _writers;

    private MemberCommand(DqliteNode node) => _node = node;

    /// <summary>How long a leader may serve reads after it was last heard.</summary>
    public static TimeSpan LeaseDuration => Defaults.LeaseDuration;

    /// <param name="words">Number of the node, directory of the cluster, addresses of all members, and where the node listens, or nothing when that is its address.</param>
    public static async Task<int> RunAsync(string[] words)
    {
        var (id, directory, members) = (int.Parse(words[0], CultureInfo.InvariantCulture), Path.Combine(words[1], words[0]), words[2].Split(','));
        var isAlone = members.Length == 1;
        await WarmUpAsync(Path.Combine(words[1], $"warm-{id}"));
        await using var node = await DqliteNode.StartAsync(Defaults with
        {
            DataDirectory = directory,
            Address = isAlone ? "" : members[id - 1],
            ListenAddress = words[3],
            Members = isAlone ? [] : members,
        });
        await using var member = new MemberCommand(node);
        while (await Console.In.ReadLineAsync() is { } line)
        {
            Console.Out.WriteLine(await member.AnswerAsync(JsonSerializer.Deserialize<MemberRequest>(line)!));
        }

        return 0;
    }

    public async ValueTask DisposeAsync()
    {
        await CleanAsync();
        if (_writers is not null)
        {
            await _writers.DisposeAsync();
        }

        _usage.Dispose();
    }

    /// <summary>A node of its own writes a little, so that what is measured is no compiler: an application that has run for a while has written before.</summary>
    private static async Task WarmUpAsync(string directory)
    {
        await using (var node = await DqliteNode.StartAsync(new DqliteNodeOptions { DataDirectory = directory }))
        {
            await node.WaitForLeaderAsync();
            await using var source = await node.OpenDatabaseAsync("warm");
            await using var connection = await source.OpenConnectionAsync();
            await KeyValueTable.CreateAsync(connection);
            using var insert = new InsertOperation(connection, Values.Texts(100, 0));
            for (var i = 0; i < WarmUpCommits; i++)
            {
                await insert.RunAsync();
            }
        }

        Directory.Delete(directory, recursive: true);
    }

    private static string Reply<T>(T result) => JsonSerializer.Serialize(new MemberReply<T>(result, null));

    private async Task<string> AnswerAsync(MemberRequest request)
    {
        try
        {
            return request switch
            {
                StateRequest => Reply(new MemberState(_node.IsLeader, _node.AppliedIndex, _node.Leader?.Term ?? 0, _writers?.FirstWriteAt ?? 0)),
                UsageRequest => Reply(_usage.Read()),
                CreateRequest create => Reply(await CreateAsync(create)),
                PrepareRequest prepare => Reply(await PrepareAsync(prepare)),
                MeasureRequest when _session is not null => Reply(await _session.MeasureAsync()),
                CleanRequest => Reply(await CleanAsync()),
                WriteRequest write => Reply(Write(write)),
                AcknowledgedRequest acknowledged when _writers is not null => Reply(_writers.CountAfter(acknowledged.After)),
                VerifyRequest when _writers is not null => Reply(await _writers.VerifyAsync()),
                LargeTransactionRequest large => Reply(await LargeTransactionRun.RunAsync(_node, large)),
                _ => throw new InvalidOperationException($"Unexpected request {request}."),
            };
        }
#pragma warning disable CA1031 // Whatever it is, the parent hears of it.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return JsonSerializer.Serialize(new MemberReply<bool>(false, exception.Message.ReplaceLineEndings(" ")));
        }
    }

    private async Task<bool> CreateAsync(CreateRequest request)
    {
        await CleanAsync();
        _database = await ClusterDatabase.CreateAsync(_node, request.Database, request.Spec);
        return true;
    }

    private async Task<bool> PrepareAsync(PrepareRequest request)
    {
        await EndSessionAsync();
        _session = await LoadSession.StartAsync(await ClusterConnections.CreateAsync([_node], request.Database, request.Api, request.Spec), request.Spec);
        return true;
    }

    private async Task EndSessionAsync()
    {
        if (_session is { } session)
        {
            _session = null;
            await session.DisposeAsync();
        }
    }

    private async Task<bool> CleanAsync()
    {
        await EndSessionAsync();
        if (_database is { } database)
        {
            _database = null;
            await database.DisposeAsync();
        }

        return true;
    }

    private bool Write(WriteRequest request)
    {
        _writers ??= new LeaderWriters(_node, request.Writers);
        return true;
    }
}
