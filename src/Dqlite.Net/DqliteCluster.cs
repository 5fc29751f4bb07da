using System.Diagnostics;
using Dqlite.Net.Engine;
using Dqlite.Raft;

namespace Dqlite.Net;

/// <summary>A member as users see it.</summary>
/// <param name="Id">Its number; never reused.</param>
/// <param name="Address">Where its peers reach it.</param>
/// <param name="IsVoter">Whether it votes and counts for the majority.</param>
/// <param name="IsLeader">Whether it leads, as far as the asked node knows.</param>
public sealed record DqliteMember(long Id, string Address, bool IsVoter, bool IsLeader);

/// <summary>
/// The membership of a node's cluster. Changes go to the leader from whichever node they are asked on, one member at a time, and return once
/// the log has them. All members are thread-safe.
/// </summary>
public sealed class DqliteCluster
{
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(30);
    private readonly DqliteNode _node;

    internal DqliteCluster(DqliteNode node) => _node = node;

    /// <summary>The members, as this node's log has them.</summary>
    /// <param name="cancellationToken">Ends the wait for a node that is still blank.</param>
    public async Task<IReadOnlyList<DqliteMember>> ListAsync(CancellationToken cancellationToken = default)
    {
        var context = await _node.ReadyAsync(cancellationToken).ConfigureAwait(false);
        var status = context.Status;
        return status.Configuration.Members
            .Select(member => new DqliteMember(member.Id.Value, member.Address, member.Role == MemberRole.Voter, member.Id == status.Leader)).ToArray();
    }

    /// <summary>Adds a blank node that is reached at an address, with a known incarnation as a non-voting member. Usually the node does it itself: see <see cref="DqliteNodeOptions.Join"/>.</summary>
    /// <param name="address">Its <see cref="DqliteNode.Address"/>, where the other members reach it.</param>
    /// <param name="incarnation">Its <see cref="DqliteNode.Incarnation"/>.</param>
    /// <param name="cancellationToken">Abandons the wait; the change may still happen.</param>
    /// <returns>The number of the member.</returns>
    /// <exception cref="DqliteException">The leader refused, or (transient) none was found in time.</exception>
    public async Task<long> AddAsync(string address, string incarnation, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(address);
        ArgumentException.ThrowIfNullOrWhiteSpace(incarnation);
        var reply = await AskAsync(new LeaderRequest(LeaderOperation.AddMember, Address: address, Incarnation: incarnation), cancellationToken).ConfigureAwait(false);
        return reply.NodeId;
    }

    /// <summary>Makes a member a voter, once it has caught up with the log.</summary>
    /// <param name="id">The member.</param>
    /// <param name="cancellationToken">Abandons the wait; the change may still happen.</param>
    /// <exception cref="DqliteException">The leader refused, or (transient) the member did not catch up in time.</exception>
    public Task PromoteAsync(long id, CancellationToken cancellationToken = default) => ChangeAsync(LeaderOperation.Promote, id, cancellationToken);

    /// <summary>Makes a voter a non-voting member. A leader hands leadership over first.</summary>
    /// <param name="id">The member.</param>
    /// <param name="cancellationToken">Abandons the wait; the change may still happen.</param>
    /// <exception cref="DqliteException">The leader refused, or (transient) it did not happen in time.</exception>
    public Task DemoteAsync(long id, CancellationToken cancellationToken = default) => ChangeAsync(LeaderOperation.Demote, id, cancellationToken);

    /// <summary>Removes a member. A leader hands leadership over first. The node itself goes on running, without a say, until it is stopped.</summary>
    /// <param name="id">The member; removing one that is not there does nothing.</param>
    /// <param name="cancellationToken">Abandons the wait; the change may still happen.</param>
    /// <exception cref="DqliteException">The leader refused, or (transient) it did not happen in time.</exception>
    public async Task RemoveAsync(long id, CancellationToken cancellationToken = default)
    {
        var context = await _node.ReadyAsync(cancellationToken).ConfigureAwait(false);
        var request = new LeaderRequest(LeaderOperation.Remove, NodeId: id);
        if (id == context.Core.Id.Value && context.Status.Configuration.Members.Count > 1)
        {
            await context.Requests.AskThroughOthersAsync(request, DefaultTimeout, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            await context.Requests.AskAsync(request, DefaultTimeout, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Hands leadership to a voter, and returns once this node sees it lead.</summary>
    /// <param name="id">The voter, or null for the one that has most of the log.</param>
    /// <param name="cancellationToken">Abandons the wait; the transfer may still happen.</param>
    /// <exception cref="DqliteException">The leader refused, or (transient) it did not happen in time.</exception>
    public async Task TransferLeadershipAsync(long? id = null, CancellationToken cancellationToken = default)
    {
        var before = (await _node.WaitForLeaderAsync(cancellationToken).ConfigureAwait(false)).Id;
        if (before == id)
        {
            return;
        }

        bool IsDone(DqliteLeader leader) => id is null ? leader.Id != before : leader.Id == id;

        var began = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(began) < DefaultTimeout)
        {
            await ChangeAsync(LeaderOperation.Transfer, id ?? 0, cancellationToken).ConfigureAwait(false);
            using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            timer.CancelAfter((await _node.ReadyAsync(cancellationToken).ConfigureAwait(false)).Options.ElectionTimeout * 3);
            try
            {
                await _node.WaitForAsync(IsDone, timer.Token).ConfigureAwait(false);
                return;
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                // The core gave the transfer up: the target did not catch up, or is gone. Ask again.
            }
        }

        throw DqliteErrors.Transient(Dqlite.Sqlite.ShimResult.NotLeader, $"Leadership was not handed over within {DefaultTimeout.TotalSeconds:0} s.", _node.Leader?.Address);
    }

    private async Task ChangeAsync(LeaderOperation operation, long id, CancellationToken cancellationToken) =>
        await AskAsync(new LeaderRequest(operation, NodeId: id), cancellationToken).ConfigureAwait(false);

    private async Task<LeaderReply> AskAsync(LeaderRequest request, CancellationToken cancellationToken)
    {
        var context = await _node.ReadyAsync(cancellationToken).ConfigureAwait(false);
        return await context.Requests.AskAsync(request, DefaultTimeout, cancellationToken).ConfigureAwait(false);
    }
}
