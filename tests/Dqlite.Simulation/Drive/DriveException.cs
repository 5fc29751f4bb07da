namespace Dqlite.Simulation.Drive;

/// <summary>A command cannot be carried out; the text says what is wrong with it and goes into the answer.</summary>
internal sealed class DriveException(string message) : Exception(message);
