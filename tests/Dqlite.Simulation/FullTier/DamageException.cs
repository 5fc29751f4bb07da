namespace Dqlite.Simulation.FullTier;

/// <summary>A database gave what no transaction can have written. Never an answer that a client may get: the run has failed.</summary>
internal sealed class DamageException(string message) : Exception(message);
