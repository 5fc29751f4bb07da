using System.Diagnostics.Metrics;

namespace Dqlite.Load;

/// <summary>What has been spent since the start of one process, or of several.</summary>
/// <param name="CpuUs">Processor time.</param>
/// <param name="LogBytes">Bytes of the records that nodes wrote to their logs.</param>
/// <param name="NetBytes">Bytes that nodes sent to each other.</param>
/// <param name="AllocatedBytes">Managed allocations.</param>
internal sealed record Usage(double CpuUs, double LogBytes, double NetBytes, double AllocatedBytes)
{
    public static Usage operator +(Usage a, Usage b) => new(a.CpuUs + b.CpuUs, a.LogBytes + b.LogBytes, a.NetBytes + b.NetBytes, a.AllocatedBytes + b.AllocatedBytes);

    public static Usage operator -(Usage a, Usage b) => new(a.CpuUs - b.CpuUs, a.LogBytes - b.LogBytes, a.NetBytes - b.NetBytes, a.AllocatedBytes - b.AllocatedBytes);
}

/// <summary>Reads the usage of this process; counts what its nodes report on their meter.</summary>
internal sealed class UsageMeter : IDisposable
{
    private const string LogBytes = "dqlite.raft.log.bytes.written";
    private const string NetBytes = "dqlite.peer.bytes.sent";
    private readonly MeterListener _listener = new();
    private long _logBytes;
    private long _netBytes;

    public UsageMeter()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == "Dqlite.Net" && instrument.Name is LogBytes or NetBytes)
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Interlocked.Add(ref instrument.Name == LogBytes ? ref _logBytes : ref _netBytes, value));
        _listener.Start();
    }

    public Usage Read() => new(Environment.CpuUsage.TotalTime.TotalMicroseconds, Interlocked.Read(ref _logBytes), Interlocked.Read(ref _netBytes), GC.GetTotalAllocatedBytes(precise: true));

    public void Dispose() => _listener.Dispose();
}
