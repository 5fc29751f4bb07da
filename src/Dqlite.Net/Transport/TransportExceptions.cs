namespace Dqlite.Net.Transport;

/// <summary>An address cannot be used; the message names it and the remedy.</summary>
/// <param name="message">Which address, why, and what to do.</param>
/// <param name="innerException">The socket's error, if there is one.</param>
internal sealed class TransportConfigurationException(string message, Exception? innerException = null) : Exception(message, innerException);

/// <summary>The other side sent something that the protocol does not allow; the connection is dropped.</summary>
/// <param name="message">What.</param>
/// <param name="innerException">The cause, if there is one.</param>
internal sealed class PeerProtocolException(string message, Exception? innerException = null) : Exception(message, innerException);

/// <summary>The other side refused the connection, or was refused.</summary>
/// <param name="reason">Why, as the refusing side said it.</param>
internal sealed class PeerRefusedException(string reason) : Exception(reason);
