namespace Dqlite.Simulation.CoreTier;

/// <summary>Private copies of pages, by number. Sorted arrays: a transaction changes few pages, or many that follow each other.</summary>
internal sealed class PageSet
{
    private readonly List<uint> _numbers = [];
    private readonly List<byte[]> _images = [];

    public int Count => _numbers.Count;

    /// <summary>The copy of a page, or null.</summary>
    public byte[]? Find(uint page)
    {
        var at = _numbers.BinarySearch(page);
        return at >= 0 ? _images[at] : null;
    }

    /// <summary>Puts a copy in, in the place of the one that is there.</summary>
    public void Set(uint page, byte[] image)
    {
        var at = _numbers.BinarySearch(page);
        if (at >= 0)
        {
            _images[at] = image;
        }
        else
        {
            _numbers.Insert(~at, page);
            _images.Insert(~at, image);
        }
    }

    /// <summary>The copies up to a page, ascending.</summary>
    public IEnumerable<(uint Page, byte[] Image)> UpTo(uint last)
    {
        for (var i = 0; i < _numbers.Count && _numbers[i] <= last; i++)
        {
            yield return (_numbers[i], _images[i]);
        }
    }

    /// <summary>The same pages in copies of their own.</summary>
    public PageSet Clone()
    {
        var clone = new PageSet();
        clone._numbers.AddRange(_numbers);
        clone._images.AddRange(_images.Select(image => (byte[])image.Clone()));
        return clone;
    }
}
