using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Dqlite.Load.Clusters;

/// <summary>The process of one node, as its parent sees it. One request at a time.</summary>
internal sealed class MemberProcess : IAsyncDisposable
{
    private static readonly TimeSpan EndPatience = TimeSpan.FromSeconds(10);
    private readonly Process _process;

    private MemberProcess(Process process) => _process = process;

    public int Id => _process.Id;

    /// <param name="id">Number of the node.</param>
    /// <param name="directory">Of the cluster.</param>
    /// <param name="addresses">Of all members.</param>
    /// <param name="listenAddress">Where this one listens; empty when that is its address.</param>
    public static MemberProcess Start(int id, string directory, string[] addresses, string listenAddress)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardInput = true, RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(typeof(MemberProcess).Assembly.Location);
        }

        foreach (var word in new[] { MemberCommand.Name, id.ToString(CultureInfo.InvariantCulture), directory, string.Join(',', addresses), listenAddress })
        {
            start.ArgumentList.Add(word);
        }

        return new MemberProcess(Process.Start(start)!);
    }

    /// <exception cref="MemberException">It failed there, or the process has ended.</exception>
    public async Task<T> AskAsync<T>(MemberRequest request)
    {
        try
        {
            await _process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(request));
        }
        catch (IOException exception)
        {
            throw new MemberException($"Process {Id} of a node has ended: {exception.Message}");
        }

        var line = await _process.StandardOutput.ReadLineAsync() ?? throw new MemberException($"Process {Id} of a node has ended.");
        var reply = JsonSerializer.Deserialize<MemberReply<T>>(line)!;
        return reply.Error is null ? reply.Result! : throw new MemberException(reply.Error);
    }

    /// <summary>Sends a signal that .NET has no call for.</summary>
    /// <param name="signal">Its name without SIG.</param>
    public async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    /// <summary>SIGKILL.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    /// <summary>The end of its input tells it to stop.</summary>
    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
        using var patience = new CancellationTokenSource(EndPatience);
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill();
        }

        _process.Dispose();
    }
}
