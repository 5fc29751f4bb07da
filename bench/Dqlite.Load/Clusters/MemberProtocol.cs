using System.Text.Json.Serialization;
using Dqlite.Load.Operations;

namespace Dqlite.Load.Clusters;

/// <summary>What a node's process is asked, one JSON object on a line of its standard input; it answers each with one on its standard output.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "ask")]
[JsonDerivedType(typeof(StateRequest), "state")]
[JsonDerivedType(typeof(UsageRequest), "usage")]
[JsonDerivedType(typeof(CreateRequest), "create")]
[JsonDerivedType(typeof(PrepareRequest), "prepare")]
[JsonDerivedType(typeof(MeasureRequest), "measure")]
[JsonDerivedType(typeof(CleanRequest), "clean")]
[JsonDerivedType(typeof(WriteRequest), "write")]
[JsonDerivedType(typeof(AcknowledgedRequest), "acknowledged")]
[JsonDerivedType(typeof(VerifyRequest), "verify")]
[JsonDerivedType(typeof(LargeTransactionRequest), "large")]
internal abstract record MemberRequest;

/// <summary>How far the node is: <see cref="MemberState"/>.</summary>
internal sealed record StateRequest : MemberRequest;

/// <summary>What the process has spent: <see cref="Usage"/>.</summary>
internal sealed record UsageRequest : MemberRequest;

/// <summary>Creates a database and fills it; the node leads.</summary>
internal sealed record CreateRequest(string Database, LoadSpec Spec) : MemberRequest;

/// <summary>Starts a <see cref="LoadSession"/> on a database that exists.</summary>
internal sealed record PrepareRequest(string Database, Api Api, LoadSpec Spec) : MemberRequest;

/// <summary>Measures: <see cref="LoadResult"/>.</summary>
internal sealed record MeasureRequest : MemberRequest;

/// <summary>Ends the session, and drops the database that was created here.</summary>
internal sealed record CleanRequest : MemberRequest;

/// <summary>From now on, writes whenever the node leads.</summary>
internal sealed record WriteRequest(int Writers) : MemberRequest;

/// <summary>How many rows its writers had acknowledged after a moment, by the clock of <see cref="System.Diagnostics.Stopwatch"/>: a number.</summary>
internal sealed record AcknowledgedRequest(long After) : MemberRequest;

/// <summary>Ends the writers; how many rows they had acknowledged, all of which are there: a number.</summary>
internal sealed record VerifyRequest : MemberRequest;

/// <summary>A large transaction: <see cref="LargeTransactionResult"/>. The node leads.</summary>
internal sealed record LargeTransactionRequest(string Database, LargeTransaction Transaction) : MemberRequest;

/// <summary>How it went.</summary>
/// <param name="Seconds">From its first statement to its acknowledged commit.</param>
/// <param name="LongestCommitMs">The longest commit of a small transaction in another database meanwhile.</param>
/// <param name="Term">Of the leader afterwards.</param>
internal sealed record LargeTransactionResult(double Seconds, double LongestCommitMs, long Term);

/// <summary>The state of a node.</summary>
/// <param name="IsLeader">Whether it leads and takes writes.</param>
/// <param name="AppliedIndex">What it has applied.</param>
/// <param name="Term">Of the leader that it knows, or 0.</param>
/// <param name="FirstWriteAt">When the first write was acknowledged since it leads, by the clock of <see cref="System.Diagnostics.Stopwatch"/>, which all processes share; 0 before.</param>
internal sealed record MemberState(bool IsLeader, long AppliedIndex, long Term, long FirstWriteAt);

/// <summary>An answer: a result, or why there is none.</summary>
/// <param name="Result">Left out when it is the default, so that an error can be read whatever was asked.</param>
/// <param name="Error">Null when there is a result.</param>
internal sealed record MemberReply<T>([property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] T? Result, string? Error);

/// <summary>A node's process could not do what it was asked, or has ended.</summary>
internal sealed class MemberException(string message) : Exception(message);
