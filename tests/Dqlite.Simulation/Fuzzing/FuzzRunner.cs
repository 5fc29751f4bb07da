namespace Dqlite.Simulation.Fuzzing;

/// <summary>What became of an input.</summary>
internal enum FuzzVerdict
{
    /// <summary>It was parsed, and everything holds that must.</summary>
    Accepted,

    /// <summary>The parser said no, in the way that it says so.</summary>
    Refused,

    /// <summary>Anything else.</summary>
    Find,
}

/// <summary>What became of an input, and for a find what is wrong.</summary>
internal readonly record struct FuzzResult(FuzzVerdict Verdict, string Text);

/// <summary>Tries one input.</summary>
internal static class FuzzRunner
{
    /// <summary>Parses it, watching what comes out and how much is allocated.</summary>
    public static FuzzResult Try(FuzzTarget target, byte[] input)
    {
        using var attempt = target.Prepare(input);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var failure = Catch(attempt.Parse);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        if (failure is not null && !attempt.IsRefusal(failure))
        {
            return Find($"it ended with {Describe(failure)}");
        }

        if (allocated > target.MaxAllocatedBytes(input.Length))
        {
            return Find($"{allocated} bytes were allocated for an input of {input.Length} bytes");
        }

        if (failure is not null)
        {
            return new FuzzResult(FuzzVerdict.Refused, failure.Message);
        }

        return Catch(attempt.Check) is { } broken ? Find(Describe(broken)) : new FuzzResult(FuzzVerdict.Accepted, "");
    }

    private static Exception? Catch(Action action)
    {
        try
        {
            action();
            return null;
        }
#pragma warning disable CA1031 // What comes out is what this is about.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            return exception;
        }
    }

    private static FuzzResult Find(string text) => new(FuzzVerdict.Find, text);

    private static string Describe(Exception exception) => exception is FuzzFindException
        ? exception.Message
        : $"{exception.GetType().Name}: {exception.Message}{Environment.NewLine}{exception.StackTrace}";
}
