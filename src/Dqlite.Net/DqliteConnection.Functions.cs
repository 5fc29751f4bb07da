using Dqlite.Net.Data;
using SQLitePCL;
using static SQLitePCL.raw;

namespace Dqlite.Net;

/// <summary>Functions, aggregates and collations in .NET. They belong to the connection, also when it is closed and opened again. Their
/// arguments are not gated: a function that is called in a write transaction may see what never commits.</summary>
public sealed partial class DqliteConnection
{
    private readonly Dictionary<(string Kind, string Name, int Arity), Func<sqlite3, int>> _functions = [];

    /// <summary>Makes a collation; a null comparison removes it.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="comparison">How it compares.</param>
    public void CreateCollation(string name, Comparison<string>? comparison) =>
        Register("collation", name, 0, db => UserFunction.Register(db, name, comparison));

    /// <summary>Makes a collation with a state; a null comparison removes it.</summary>
    /// <typeparam name="T">Type of the state.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="state">Passed to each comparison.</param>
    /// <param name="comparison">How it compares.</param>
    public void CreateCollation<T>(string name, T state, Func<T, string, string, int>? comparison) =>
        CreateCollation(name, comparison is null ? null : (left, right) => comparison(state, left, right));

    /// <summary>Makes a function of any number of arguments; a null function removes it.</summary>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="function">What it does; NULL comes as null.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<TResult>(string name, Func<object?[], TResult>? function, bool isDeterministic = false) =>
        Function(name, -1, isDeterministic, function is null ? null : args => function(args.ToArray()));

    /// <summary>Makes a function of any number of arguments with a state; a null function removes it.</summary>
    /// <typeparam name="TState">Type of the state.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="state">Passed to each call.</param>
    /// <param name="function">What it does; NULL comes as null.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<TState, TResult>(string name, TState state, Func<TState, object?[], TResult>? function, bool isDeterministic = false) =>
        Function(name, -1, isDeterministic, function is null ? null : args => function(state, args.ToArray()));

    /// <summary>Makes an aggregate of any number of arguments; a null function removes it.</summary>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="func">Adds a row; NULL comes as null.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<TAccumulate>(string name, Func<TAccumulate?, object?[], TAccumulate>? func, bool isDeterministic = false) =>
        Aggregate<TAccumulate?>(name, -1, isDeterministic, default, func is null ? null : (a, args) => func(a, args.ToArray()), static a => a);

    /// <summary>Makes an aggregate of any number of arguments; a null function removes it.</summary>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="seed">The accumulator at first.</param>
    /// <param name="func">Adds a row; NULL comes as null.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<TAccumulate>(string name, TAccumulate seed, Func<TAccumulate, object?[], TAccumulate>? func, bool isDeterministic = false) =>
        Aggregate(name, -1, isDeterministic, seed, func is null ? null : (a, args) => func(a, args.ToArray()), static a => a);

    /// <summary>Makes an aggregate of any number of arguments; a null function removes it.</summary>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="seed">The accumulator at first.</param>
    /// <param name="func">Adds a row; NULL comes as null.</param>
    /// <param name="resultSelector">Makes the result of the accumulator.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<TAccumulate, TResult>(
        string name, TAccumulate seed, Func<TAccumulate, object?[], TAccumulate>? func, Func<TAccumulate, TResult>? resultSelector, bool isDeterministic = false) =>
        Aggregate(name, -1, isDeterministic, seed, func is null ? null : (a, args) => func(a, args.ToArray()), Select(resultSelector));

    private static Func<TAccumulate, object?> Select<TAccumulate, TResult>(Func<TAccumulate, TResult>? selector) =>
        selector is null ? static a => a : a => selector(a);

    private void Function(string name, int arity, bool isDeterministic, Func<FunctionArguments, object?>? function) =>
        Register("function", name, arity, db => UserFunction.Register(db, name, arity, isDeterministic, function));

    private void Aggregate<TAccumulate>(
        string name, int arity, bool isDeterministic, TAccumulate seed, Func<TAccumulate, FunctionArguments, TAccumulate>? step, Func<TAccumulate, object?> result) =>
        Register("function", name, arity, db => UserFunction.Register(db, name, arity, isDeterministic, seed, step, result));

    private void Register(string kind, string name, int arity, Func<sqlite3, int> register)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (_session is { } session)
        {
            RegisterNow(session, register);
        }

        // What the initializer of the data source makes belongs to the handle.
        if (!_initializes)
        {
            _functions[(kind, name.ToUpperInvariant(), arity)] = register;
        }
    }

    private void RegisterFunctions()
    {
        foreach (var register in _functions.Values)
        {
            RegisterNow(_session!, register);
        }
    }

    private static void RegisterNow(Session session, Func<sqlite3, int> register)
    {
        var rc = register(session.Handle.Db);
        if (rc != SQLITE_OK)
        {
            throw Errors.FromCode(rc, session.Handle.Db, leaderAddress: null);
        }

        session.Handle.IsTainted = true;
    }
}
