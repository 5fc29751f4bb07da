using System.Text.Json;
using Dqlite.Raft;

namespace Dqlite.Simulation.Drive;

/// <summary>
/// The fields of one JSON object of a command. A handler reads all fields that it takes and then calls <see cref="End"/>, before it does
/// anything, so that a misspelt field has no effect.
/// </summary>
internal sealed class Arguments(JsonElement fields, string what)
{
    private readonly List<string> _known = [];

    /// <summary>What the fields belong to, for texts.</summary>
    public string What => what;

    /// <summary>Refuses fields that nobody read.</summary>
    public void End()
    {
        foreach (var field in fields.EnumerateObject())
        {
            if (!_known.Contains(field.Name))
            {
                throw new DriveException($"{what} has an unknown field \"{field.Name}\"; it takes {string.Join(", ", _known)}.");
            }
        }
    }

    /// <summary>Whether a field is there.</summary>
    public bool Has(string name) => TryGet(name, out _);

    /// <summary>A text that must be there.</summary>
    public string Text(string name) => TextOrNull(name) ?? throw Missing(name);

    /// <summary>A text, or null.</summary>
    public string? TextOrNull(string name) => TryGet(name, out var value) ? TextOf(value, name) : null;

    /// <summary>One of some words, or null.</summary>
    public string? ChoiceOrNull(string name, params string[] words)
    {
        var word = TextOrNull(name);
        return word is null || words.Contains(word) ? word : throw Wrong(name, $"one of {string.Join(", ", words)}");
    }

    /// <summary>A truth value.</summary>
    public bool Flag(string name, bool otherwise = false) => FlagOrNull(name) ?? otherwise;

    /// <summary>A truth value, or null.</summary>
    public bool? FlagOrNull(string name) => !TryGet(name, out var value) ? null
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Wrong(name, "true or false");

    /// <summary>A number that must be there.</summary>
    public long Number(string name, long least = 0, long most = long.MaxValue / 4) => NumberOrNull(name, least, most) ?? throw Missing(name);

    /// <summary>A whole number within bounds, or null.</summary>
    public long? NumberOrNull(string name, long least = 0, long most = long.MaxValue / 4) =>
        TryGet(name, out var value) ? NumberOf(value, name, least, most) : null;

    /// <summary>A small number within bounds.</summary>
    public int Count(string name, int otherwise, int least = 0, int most = 1_000_000) => (int)(NumberOrNull(name, least, most) ?? otherwise);

    /// <summary>A node id that must be there.</summary>
    public NodeId Id(string name) => IdOrNull(name) ?? throw Missing(name);

    /// <summary>A node id, or null.</summary>
    public NodeId? IdOrNull(string name) => NumberOrNull(name, least: 1) is { } id ? new NodeId(id) : null;

    /// <summary>One node id or a list of them, or null.</summary>
    public IReadOnlyList<NodeId>? IdsOrNull(string name) => NumbersOrNull(name)?.Select(id => new NodeId(id)).ToArray();

    /// <summary>A positive number or a list of them, or null.</summary>
    public IReadOnlyList<long>? NumbersOrNull(string name) => !TryGet(name, out var value) ? null
        : value.ValueKind == JsonValueKind.Array
            ? value.EnumerateArray().Select(item => NumberOf(item, name, least: 1)).ToArray()
            : [NumberOf(value, name, least: 1)];

    /// <summary>A text or a list of them, or null.</summary>
    public IReadOnlyList<string>? TextsOrNull(string name) => !TryGet(name, out var value) ? null
        : value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().Select(item => TextOf(item, name)).ToArray() : [TextOf(value, name)];

    /// <summary>An object, or null.</summary>
    public Arguments? ObjectOrNull(string name) => !TryGet(name, out var value) ? null
        : value.ValueKind == JsonValueKind.Object ? new Arguments(value, $"\"{name}\"") : throw Wrong(name, "an object");

    /// <summary>The items of a list; none when it is not there.</summary>
    public IReadOnlyList<JsonElement> Items(string name) => !TryGet(name, out var value) ? []
        : value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().ToArray() : throw Wrong(name, "a list");

    private static long NumberOf(JsonElement value, string name, long least = 0, long most = long.MaxValue / 4) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) && number >= least && number <= most
            ? number
            : throw Wrong(name, $"a whole number from {least} to {most}");

    private static string TextOf(JsonElement value, string name)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong(name, "a text");
        }
        catch (InvalidOperationException)
        {
            throw Wrong(name, "a text of whole characters"); // half of a surrogate pair
        }
    }

    private static DriveException Wrong(string name, string expected) => new($"\"{name}\" must be {expected}.");

    private DriveException Missing(string name) => new($"{what} needs the field \"{name}\".");

    private bool TryGet(string name, out JsonElement value)
    {
        if (!_known.Contains(name))
        {
            _known.Add(name);
        }

        return fields.TryGetProperty(name, out value);
    }
}
