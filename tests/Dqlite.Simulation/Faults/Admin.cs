using Dqlite.Net.Engine;
using Dqlite.Raft;
using Dqlite.Simulation.Cluster;
using Dqlite.Simulation.Running;

namespace Dqlite.Simulation.Faults;

/// <summary>Asks the leader for changes of the cluster, again and again until one answers, as an operator would.</summary>
internal sealed class Admin(SimCluster cluster)
{
    private const long RetryNs = SimShape.Second / 5;
    private const long AnswerTimeoutNs = 2 * SimShape.Second;

    /// <summary>Asks until somebody has done it or refused it, or the time is up.</summary>
    /// <returns>The answer, or null.</returns>
    public async Task<LeaderReply?> AskAsync(LeaderRequest request, long untilNs)
    {
        while (cluster.Scheduler.NowNs < untilNs)
        {
            if (cluster.Leader is { Node: { } leader } && await AskOnceAsync(leader, request) is { } reply
                && reply.Status is LeaderStatus.Done or LeaderStatus.Refused)
            {
                cluster.Log.Say($"{request.Operation} {(request.NodeId == 0 ? request.Name + request.Address : request.NodeId)}: {reply.Status} {reply.Text}");
                return reply;
            }

            await cluster.Waits.Delay(RetryNs);
        }

        return null;
    }

    /// <summary>Takes a blank node in.</summary>
    public async Task JoinAsync(SimNode node, long untilNs)
    {
        while (cluster.Scheduler.NowNs < untilNs)
        {
            if (node is { IsBlank: true, Machine.IsUp: true, Incarnation.Length: > 0 })
            {
                var reply = await AskAsync(new LeaderRequest(LeaderOperation.AddMember, Address: node.Address, Incarnation: node.Incarnation), untilNs);
                if (reply?.Status == LeaderStatus.Refused)
                {
                    return;
                }

                if (reply is not null)
                {
                    node.Become(new Founding(reply.ClusterId, new NodeId(reply.NodeId), ConfigurationCodec.Decode(reply.Configuration)));
                }
            }
            else if (!node.IsBlank)
            {
                return;
            }

            await cluster.Waits.Delay(RetryNs);
        }
    }

    private async Task<LeaderReply?> AskOnceAsync(NodeContext leader, LeaderRequest request)
    {
        var answer = new TaskCompletionSource<LeaderReply>();
        leader.Call((nowNs, outputs) => leader.Requests.Serve(request, nowNs, outputs, reply => answer.TrySetResult(reply)));
        return await cluster.Waits.For(answer.Task, AnswerTimeoutNs) ? answer.Task.Result : null;
    }
}
