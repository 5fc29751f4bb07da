using Dqlite.Sqlite;

namespace Dqlite.Simulation.World;

/// <summary>What a disk was told to do wrong.</summary>
internal sealed class DiskFaults
{
    private readonly List<Rule> _rules = [];
    private readonly List<string> _staleReads = [];

    private sealed class Rule(ShimOperation operation, string pathPart, int errno, long remaining, bool isSticky)
    {
        public ShimOperation Operation { get; } = operation;

        public string PathPart { get; } = pathPart;

        public int Errno { get; } = errno;

        public bool IsSticky { get; } = isSticky;

        public long Remaining { get; set; } = remaining;
    }

    /// <summary>Fails one operation, or, sticky, every one from it on.</summary>
    /// <param name="operation">Which.</param>
    /// <param name="pathPart">Only on paths that contain this.</param>
    /// <param name="errno">Positive.</param>
    /// <param name="nth">1: the next one that matches.</param>
    /// <param name="isSticky">Whether later ones fail too.</param>
    public void Fail(ShimOperation operation, string pathPart, int errno, long nth, bool isSticky) =>
        _rules.Add(new Rule(operation, pathPart, errno, nth, isSticky));

    /// <summary>Makes the next read of such a file return, in one sector, what that sector held before its last write.</summary>
    public void AddStaleRead(string pathPart) => _staleReads.Add(pathPart);

    /// <summary>Ends all faults that have not happened.</summary>
    public void Clear()
    {
        _rules.Clear();
        _staleReads.Clear();
    }

    /// <summary>0, or the errno that this operation is to fail with.</summary>
    public int Take(ShimOperation operation, string path)
    {
        for (var i = 0; i < _rules.Count; i++)
        {
            var rule = _rules[i];
            if (rule.Operation != operation || !path.Contains(rule.PathPart, StringComparison.Ordinal) || --rule.Remaining > 0)
            {
                continue;
            }

            if (!rule.IsSticky)
            {
                _rules.RemoveAt(i);
            }

            return rule.Errno;
        }

        return 0;
    }

    /// <summary>Whether a read of this file is to be stale; it stays asked for until <see cref="OnStaleRead"/>.</summary>
    public string? FindStaleRead(string path)
    {
        foreach (var part in _staleReads)
        {
            if (path.Contains(part, StringComparison.Ordinal))
            {
                return part;
            }
        }

        return null;
    }

    /// <summary>It has happened.</summary>
    public void OnStaleRead(string part) => _staleReads.Remove(part);
}
