using Microsoft.Win32.SafeHandles;

namespace Dqlite.Sqlite.Native;

// Owners of the shim's pointers. A call in progress on another thread keeps its object alive: the marshaller counts references.

/// <summary>Owns a dq_db.</summary>
internal sealed class DatabaseHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    public DatabaseHandle()
        : base(ownsHandle: true)
    {
    }

    internal void Adopt(nint database) => SetHandle(database);

    protected override bool ReleaseHandle()
    {
        NativeMethods.DatabaseClose(handle);
        return true;
    }
}

/// <summary>Owns a dq_batch.</summary>
internal sealed class BatchHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    public BatchHandle()
        : base(ownsHandle: true)
    {
    }

    internal void Adopt(nint batch) => SetHandle(batch);

    protected override bool ReleaseHandle()
    {
        NativeMethods.BatchFree(handle);
        return true;
    }
}

/// <summary>Owns a dq_snapshot.</summary>
internal sealed class SnapshotHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    public SnapshotHandle()
        : base(ownsHandle: true)
    {
    }

    internal void Adopt(nint snapshot) => SetHandle(snapshot);

    protected override bool ReleaseHandle()
    {
        NativeMethods.SnapshotClose(handle);
        return true;
    }
}

/// <summary>Owns a dq_builder.</summary>
internal sealed class BuilderHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    public BuilderHandle()
        : base(ownsHandle: true)
    {
    }

    internal void Adopt(nint builder) => SetHandle(builder);

    protected override bool ReleaseHandle()
    {
        NativeMethods.BuilderClose(handle);
        return true;
    }
}

/// <summary>Owns a dq_stage.</summary>
internal sealed class StageHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    public StageHandle()
        : base(ownsHandle: true)
    {
    }

    internal void Adopt(nint stage) => SetHandle(stage);

    protected override bool ReleaseHandle()
    {
        NativeMethods.StageFree(handle);
        return true;
    }
}

/// <summary>Owns a file descriptor.</summary>
internal sealed class DescriptorHandle : SafeHandleMinusOneIsInvalid
{
    public DescriptorHandle()
        : base(ownsHandle: true)
    {
    }

    internal void Adopt(int fd) => SetHandle(fd);

    protected override bool ReleaseHandle() => NativeMethods.FileClose((int)handle) == 0;
}

/// <summary>A reference to a descriptor for the length of one call: without it another thread could close it and the number could
/// come to name another file in between.</summary>
internal ref struct DescriptorLease
{
    private readonly DescriptorHandle _handle;
    private bool _held;

    public DescriptorLease(DescriptorHandle handle)
    {
        _handle = handle;
        _held = false;
        handle.DangerousAddRef(ref _held);
        Fd = (int)handle.DangerousGetHandle();
    }

    public int Fd { get; }

    public void Dispose()
    {
        if (_held)
        {
            _held = false;
            _handle.DangerousRelease();
        }
    }
}
