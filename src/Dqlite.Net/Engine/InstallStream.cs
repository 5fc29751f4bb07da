using System.Buffers.Binary;
using Dqlite.Net.Transport;
using Dqlite.Raft;
using Dqlite.Sqlite;

namespace Dqlite.Net.Engine;

/// <summary>
/// The pieces of one snapshot stream (docs/formats/peer.md, "Snapshot stream"): pages go to NAME.db.new and are verified before anything is replaced.
/// What a piece says is checked before it has an effect, and what is allocated follows what has arrived. One thread at a time.
/// </summary>
/// <param name="pageStores">Builds the files.</param>
/// <param name="directory">Where to.</param>
internal sealed class InstallStream(IPageStoreFactory pageStores, string directory) : IDisposable
{
    private const int PagesHeaderSize = 8;

    private readonly List<IDatabaseFileBuilder> _builders = [];
    private InstallManifest? _manifest;
    private uint[] _nextPages = [];
    private long _expected;

    /// <summary>Handles a piece.</summary>
    /// <returns>After the last one the manifest: everything has arrived and was verified. Else null.</returns>
    /// <exception cref="InvalidDataException">It does not belong there.</exception>
    /// <exception cref="MessagePackSerializationException">The manifest is malformed.</exception>
    /// <exception cref="ShimException">The files cannot be written, or are not complete.</exception>
    public InstallManifest? Take(StreamChunk chunk)
    {
        var isNext = chunk.Sequence == _expected++;
#if MUTANTS
        isNext |= Mutant.Is("R34");
#endif
        if (!isNext)
        {
            throw new InvalidDataException($"A snapshot stream skipped from piece {_expected - 1} to {chunk.Sequence}.");
        }

        switch (chunk.Kind)
        {
            case InstallMessages.ManifestChunk when _manifest is null:
                Begin(InstallManifest.Decode(chunk.Body).RequireUsable());
                return null;
            case InstallMessages.PagesChunk when _manifest is not null:
                Store(_manifest, chunk.Body.Span);
                return null;
            case InstallMessages.EndChunk when _manifest is not null:
                Finish(_manifest);
                return _manifest;
            default:
                throw new InvalidDataException($"A snapshot stream holds an unexpected piece of kind {chunk.Kind}.");
        }
    }

    /// <summary>Closes the files.</summary>
    public void Dispose()
    {
        _builders.ForEach(builder => builder.Dispose());
        _builders.Clear();
    }

    private void Begin(InstallManifest manifest)
    {
        _manifest = manifest;
        _nextPages = new uint[manifest.Databases.Count];
        foreach (var announced in manifest.Databases)
        {
            var files = announced.FilesIn(directory);
            _builders.Add(pageStores.Build(files.NewDatabasePath, files.NewSumsPath, announced.PageSize));
        }
    }

    private void Store(InstallManifest manifest, ReadOnlySpan<byte> body)
    {
        var ordinal = body.Length < PagesHeaderSize ? -1 : BinaryPrimitives.ReadInt32LittleEndian(body);
        var count = ordinal < 0 ? -1 : BinaryPrimitives.ReadInt32LittleEndian(body[4..]);
        if (ordinal < 0 || ordinal >= _builders.Count || count < 0
            || body.Length != PagesHeaderSize + ((long)count * (4 + manifest.Databases[ordinal].PageSize)))
        {
            throw new InvalidDataException("A piece of a snapshot stream has a wrong length.");
        }

        var database = manifest.Databases[ordinal];
        for (var offset = PagesHeaderSize; offset < body.Length; offset += 4 + database.PageSize)
        {
            var page = BinaryPrimitives.ReadUInt32LittleEndian(body[offset..]);
            RequireNext(ordinal, page, database);
            _builders[ordinal].WritePage(page, body.Slice(offset + 4, database.PageSize));
        }
    }

    /// <summary>Pages come in ascending order without gaps, but for the lock page: so files and checksums grow with what arrives, not with a number in it.</summary>
    private void RequireNext(int ordinal, uint page, InstallDatabase database)
    {
        var lockPage = (uint)(0x40000000 / database.PageSize) + 1;
        var next = _nextPages[ordinal] + 1;
        next += next == lockPage ? 1u : 0;
        var isNext = page == next;
#if MUTANTS
        isNext |= Mutant.Is("R34");
#endif
        if (!isNext || page == 0 || page > database.PageCount)
        {
            throw new InvalidDataException($"A snapshot stream holds page {page} of a database of {database.PageCount} pages where page {next} belongs.");
        }

        _nextPages[ordinal] = page;
    }

    private void Finish(InstallManifest manifest)
    {
        for (var i = 0; i < _builders.Count; i++)
        {
            var database = manifest.Databases[i];
            var checksum = _builders[i].Finish(database.PageCount);
            var isWhole = checksum == database.Checksum;
#if MUTANTS
            isWhole |= Mutant.Is("R34");
#endif
            if (!isWhole)
            {
                throw new InvalidDataException($"Database '{database.Name}' of a snapshot stream has checksum {checksum:x16} where {database.Checksum:x16} belongs.");
            }
        }
    }
}
