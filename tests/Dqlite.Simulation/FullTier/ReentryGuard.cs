namespace Dqlite.Simulation.FullTier;

/// <summary>Notices that a connection is used while a call on it is under way: other things may happen inside SQLite's calls, but not this.</summary>
internal sealed class ReentryGuard
{
    private bool _isInside;

    /// <summary>A call begins; it ends with the result's Dispose.</summary>
    public Scope Enter()
    {
        if (_isInside)
        {
            throw new InvalidOperationException("A connection was used inside a call on it.");
        }

        _isInside = true;
        return new Scope(this);
    }

    /// <summary>A call that is under way.</summary>
    internal readonly ref struct Scope(ReentryGuard guard)
    {
        public void Dispose() => guard._isInside = false;
    }
}
