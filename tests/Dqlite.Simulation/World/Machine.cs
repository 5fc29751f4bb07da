using Dqlite.Raft;

namespace Dqlite.Simulation.World;

/// <summary>The machine is down, or has been since: nothing that belongs to an earlier life of its process has an effect any more.</summary>
internal sealed class MachineDownException() : Exception("The simulated machine is down.");

/// <summary>
/// What a node runs on: a disk, and a process that can be paused, die or lose its power, also in the middle of the n-th operation.
/// <code>
/// up --PowerOff, Kill, or the operation CrashAtOperation--> down --Start--> up (the next life)
/// up --Pause--> up and paused --Resume--> up
/// </code>
/// </summary>
internal sealed class Machine
{
    private readonly SeededRandom _random;
    private long _crashAtOperation = long.MaxValue;

    /// <summary>Creates a machine that is up and has an empty disk.</summary>
    /// <param name="number">Its number, from 1; also the default of its node's id.</param>
    /// <param name="random">Streams are taken from it; it is not used itself.</param>
    public Machine(int number, SeededRandom random)
    {
        Number = number;
        NodeId = new NodeId(number);
        _random = random.Stream("machine", number);
        Disk = new SimDisk(this, random.Stream("disk", number));
    }

    /// <summary>Raised when it goes down, whichever way; its disk has then become what it will be at the next start.</summary>
    public event Action? Crashed;

    /// <summary>Raised after <see cref="Start"/>.</summary>
    public event Action? Started;

    /// <summary>Raised after <see cref="Resume"/>.</summary>
    public event Action? Resumed;

    /// <summary>Its number.</summary>
    public int Number { get; }

    /// <summary>The node that runs on it; a node that joins later learns its id then.</summary>
    public NodeId NodeId { get; set; }

    /// <summary>Its disk, under /sim/NUMBER.</summary>
    public SimDisk Disk { get; }

    /// <summary>Whether its process runs, or is paused.</summary>
    public bool IsUp { get; private set; } = true;

    /// <summary>Whether the process is stopped (SIGSTOP): nothing reaches it, and its connections stay.</summary>
    public bool IsPaused { get; private set; }

    /// <summary>Whether the last end was a power cut: then nobody closed its connections.</summary>
    public bool LostPower { get; private set; }

    /// <summary>How often it was started. Files and connections of an earlier life are dead.</summary>
    public int Life { get; private set; } = 1;

    /// <summary>Changing storage operations and messages handed over, in all lives.</summary>
    public long Operations { get; private set; }

    /// <summary>The operation in the middle of which the machine goes down; one that has passed means the next.</summary>
    public long? CrashAtOperation
    {
        get => _crashAtOperation == long.MaxValue ? null : _crashAtOperation;
        set => _crashAtOperation = value ?? long.MaxValue;
    }

    /// <summary>The machine goes down so many operations after the next write to a file whose path contains a part; null: not.</summary>
    public (string Part, int After)? CrashNear { get; set; }

    /// <summary>Whether a crash by count is a power cut; otherwise only the process dies.</summary>
    public bool CrashCutsPower { get; set; } = true;

    /// <summary>A power cut: of what was not synced, the disk keeps an arbitrary part. Also after <see cref="Kill"/>.</summary>
    public void PowerOff()
    {
        var wasUp = IsUp;
        TakeDown();
        LostPower = true;
        Disk.CutPower();
        if (wasUp)
        {
            Crashed?.Invoke();
        }
    }

    /// <summary>Only the process dies: the kernel keeps what was written, and closes the connections.</summary>
    public void Kill()
    {
        if (!IsUp)
        {
            return;
        }

        TakeDown();
        LostPower = false;
        Disk.EndProcess();
        Crashed?.Invoke();
    }

    /// <summary>Begins the next life; no effect on a machine that is up.</summary>
    public void Start()
    {
        if (IsUp)
        {
            return;
        }

        IsUp = true;
        Life++;
        Started?.Invoke();
    }

    /// <summary>Stops the process where it is.</summary>
    public void Pause() => IsPaused = IsUp;

    /// <summary>Lets the process go on.</summary>
    public void Resume()
    {
        if (IsPaused)
        {
            IsPaused = false;
            Resumed?.Invoke();
        }
    }

    /// <summary>Counts an operation that changes something outside the process.</summary>
    /// <returns>True when the machine goes down in the middle of it: the caller lets some or nothing of it happen, then throws <see cref="GoDown"/>.</returns>
    /// <exception cref="MachineDownException">It is down.</exception>
    public bool Begin() => IsUp ? ++Operations >= _crashAtOperation : throw new MachineDownException();

    /// <summary>As <see cref="Begin()"/>, for a write to a file.</summary>
    /// <exception cref="MachineDownException">It is down.</exception>
    public bool Begin(string path)
    {
        if (CrashNear is { } near && path.Contains(near.Part, StringComparison.Ordinal))
        {
            CrashNear = null;
            _crashAtOperation = Operations + 1 + near.After;
        }

        return Begin();
    }

    /// <summary>Whether an operation during which the machine goes down still has its effect.</summary>
    public bool LastOperationHappens() => _random.Chance(0.5);

    /// <summary>How much of a write happens during which the machine goes down, or the disk fails; whole sectors.</summary>
    public int PartOfWrite(int length, long offset)
    {
        var firstSector = offset / SimInode.SectorBytes;
        var sectors = ((offset + length + SimInode.SectorBytes - 1) / SimInode.SectorBytes) - firstSector;
        var whole = _random.Between(0, sectors);
        return whole == sectors ? length : (int)Math.Max(0, ((firstSector + whole) * SimInode.SectorBytes) - offset);
    }

    /// <summary>The end that <see cref="Begin"/> has announced.</summary>
    public MachineDownException GoDown()
    {
        (CrashAtOperation, CrashNear) = (null, null);
        if (CrashCutsPower)
        {
            PowerOff();
        }
        else
        {
            Kill();
        }

        return new MachineDownException();
    }

    private void TakeDown()
    {
        IsUp = false;
        IsPaused = false;
    }
}
