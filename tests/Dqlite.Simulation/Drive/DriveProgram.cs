using System.Text;

namespace Dqlite.Simulation.Drive;

/// <summary>The command <c>drive</c>: commands on standard input, answers on standard output.</summary>
internal static class DriveProgram
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    /// <summary>Runs until the input ends.</summary>
    /// <param name="arguments">Nothing, or <c>--trace FILE</c>.</param>
    /// <returns>The exit code.</returns>
    public static int Run(IReadOnlyList<string> arguments)
    {
        if (arguments.Count > 0 && !(arguments.Count == 2 && arguments[0] == "--trace"))
        {
            Console.Error.WriteLine("drive takes commands on standard input, and no argument but --trace FILE.");
            return 2;
        }

        using var trace = arguments.Count == 2 ? File.Create(arguments[1]) : null;
        using var input = new StreamReader(Console.OpenStandardInput(), Utf8);
        using var output = new StreamWriter(Console.OpenStandardOutput(), Utf8) { NewLine = "\n", AutoFlush = true };
        Run(input, output, trace);
        return 0;
    }

    /// <summary>Runs until the input ends.</summary>
    public static void Run(TextReader input, TextWriter output, Stream? trace)
    {
        var session = new DriveSession(new DriveCluster(trace));
        while (input.ReadLine() is { } line)
        {
            if (session.Execute(line) is { } answer)
            {
                output.WriteLine(answer);
            }
        }
    }
}
