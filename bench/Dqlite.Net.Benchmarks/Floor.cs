using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Dqlite.Sqlite;

namespace Dqlite.Net.Benchmarks;

/// <summary>A file whose blocks exist already, as those of a recycled log segment: 8 KiB at a time, each made durable.</summary>
internal sealed class RecycledFile : IDisposable
{
    public const int BlockBytes = 8192;
    private const int Blocks = 2048;
    private readonly byte[] _block = new byte[BlockBytes];
    private readonly DurableFile _file;
    private int _next;

    public RecycledFile(string path)
    {
        Random.Shared.NextBytes(_block);
        _file = DurableFile.Open(path, DurableFileMode.Read | DurableFileMode.Write | DurableFileMode.Create);
        for (var i = 0; i < Blocks; i++)
        {
            _file.Write(_block, (long)i * BlockBytes);
        }

        _file.Sync();
    }

    /// <summary>Makes the next block durable.</summary>
    public void Append() => Append(_block);

    public void Append(ReadOnlySpan<byte> block)
    {
        _file.Write(block, (long)_next * BlockBytes);
        _file.DataSync();
        _next = (_next + 1) % Blocks;
    }

    /// <summary>The bare disk.</summary>
    public Sample Measure(int count)
    {
        var sample = new Sample(count);
        for (var i = 0; i < count; i++)
        {
            var began = Stopwatch.GetTimestamp();
            Append();
            sample.Add(Stopwatch.GetElapsedTime(began));
        }

        return sample;
    }

    public void Dispose() => _file.Dispose();
}

/// <summary>
/// What no replication of 8 KiB to three disks can beat: one thread sends the block to two followers over TCP, makes it durable itself, and
/// waits for the first follower's answer. Each follower is one thread: receive, write, fdatasync, answer.
/// </summary>
internal sealed class Floor : IDisposable
{
    private readonly RecycledFile _own;
    private readonly Follower[] _followers;
    private readonly byte[] _block = new byte[RecycledFile.BlockBytes];

    public Floor(string directory)
    {
        _own = new RecycledFile(Path.Combine(directory, "leader"));
        _followers = [new Follower(Path.Combine(directory, "follower-1")), new Follower(Path.Combine(directory, "follower-2"))];
    }

    public Sample Measure(int count)
    {
        var sample = new Sample(count);
        for (var i = 0; i < count; i++)
        {
            var began = Stopwatch.GetTimestamp();
            Commit();
            sample.Add(Stopwatch.GetElapsedTime(began));
        }

        return sample;
    }

    /// <summary>One block on two of three disks.</summary>
    public void Commit()
    {
        foreach (var follower in _followers)
        {
            follower.Send(_block);
        }

        _own.Append(_block);
        while (!_followers.Any(follower => follower.IsCaughtUp))
        {
            var readable = _followers.Select(follower => follower.Socket).ToList();
            Socket.Select(readable, null, null, -1);
            foreach (var follower in _followers.Where(follower => readable.Contains(follower.Socket)))
            {
                follower.Receive();
            }
        }
    }

    public void Dispose()
    {
        foreach (var follower in _followers)
        {
            follower.Dispose();
        }

        _own.Dispose();
    }

    private sealed class Follower : IDisposable
    {
        private readonly RecycledFile _file;
        private readonly Socket _remote;
        private readonly Thread _thread;
        private readonly byte[] _answers = new byte[8 * 1024];
        private long _sent;
        private long _answered;

        public Follower(string path)
        {
            _file = new RecycledFile(path);
            using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen();
            Socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            Socket.Connect(listener.LocalEndPoint!);
            _remote = listener.Accept();
            _remote.NoDelay = true;
            _thread = new Thread(Serve) { IsBackground = true };
            _thread.Start();
        }

        public Socket Socket { get; }

        public bool IsCaughtUp => _answered == _sent;

        public void Send(byte[] block)
        {
            _sent++;
            SendAll(Socket, block);
        }

        public void Receive()
        {
            var count = Socket.Receive(_answers);
            _answered += count / sizeof(long);
        }

        public void Dispose()
        {
            Socket.Shutdown(SocketShutdown.Send);
            _thread.Join();
            Socket.Dispose();
            _remote.Dispose();
            _file.Dispose();
        }

        private static void SendAll(Socket socket, byte[] bytes)
        {
            for (var sent = 0; sent < bytes.Length;)
            {
                sent += socket.Send(bytes.AsSpan(sent));
            }
        }

        private void Serve()
        {
            var block = new byte[RecycledFile.BlockBytes];
            var answer = new byte[sizeof(long)];
            for (long sequence = 1; ; sequence++)
            {
                for (var received = 0; received < block.Length;)
                {
                    var count = _remote.Receive(block.AsSpan(received));
                    if (count == 0)
                    {
                        return;
                    }

                    received += count;
                }

                _file.Append(block);
                BinaryPrimitives.WriteInt64LittleEndian(answer, sequence);
                SendAll(_remote, answer);
            }
        }
    }
}
