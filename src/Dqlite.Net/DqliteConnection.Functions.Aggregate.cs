namespace Dqlite.Net;

/// <content>Aggregates by number of arguments.</content>
public sealed partial class DqliteConnection
{
    /// <summary>Makes an aggregate of no arguments; a null function removes it.</summary>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<TAccumulate>(string name, Func<TAccumulate?, TAccumulate>? func, bool isDeterministic = false) =>
        Aggregate<TAccumulate?>(name, 0, isDeterministic, default, func is null ? null : (a, _) => func(a), static a => a);

    /// <summary>Makes an aggregate of no arguments; a null function removes it.</summary>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="seed">The accumulator at first.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<TAccumulate>(string name, TAccumulate seed, Func<TAccumulate, TAccumulate>? func, bool isDeterministic = false) =>
        Aggregate(name, 0, isDeterministic, seed, func is null ? null : (a, _) => func(a), static a => a);

    /// <summary>Makes an aggregate of no arguments; a null function removes it.</summary>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="seed">The accumulator at first.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="resultSelector">Makes the result of the accumulator.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<TAccumulate, TResult>(
        string name, TAccumulate seed, Func<TAccumulate, TAccumulate>? func, Func<TAccumulate, TResult>? resultSelector, bool isDeterministic = false) =>
        Aggregate(name, 0, isDeterministic, seed, func is null ? null : (a, _) => func(a), Select(resultSelector));

    /// <summary>Makes an aggregate of one argument; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<T1, TAccumulate>(string name, Func<TAccumulate?, T1, TAccumulate>? func, bool isDeterministic = false) =>
        Aggregate<TAccumulate?>(name, 1, isDeterministic, default, func is null ? null : (a, args) => func(a, args.GetFieldValue<T1>(0)), static a => a);

    /// <summary>Makes an aggregate of one argument; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="seed">The accumulator at first.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<T1, TAccumulate>(string name, TAccumulate seed, Func<TAccumulate, T1, TAccumulate>? func, bool isDeterministic = false) =>
        Aggregate(name, 1, isDeterministic, seed, func is null ? null : (a, args) => func(a, args.GetFieldValue<T1>(0)), static a => a);

    /// <summary>Makes an aggregate of one argument; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="seed">The accumulator at first.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="resultSelector">Makes the result of the accumulator.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<T1, TAccumulate, TResult>(
        string name, TAccumulate seed, Func<TAccumulate, T1, TAccumulate>? func, Func<TAccumulate, TResult>? resultSelector, bool isDeterministic = false) =>
        Aggregate(name, 1, isDeterministic, seed, func is null ? null : (a, args) => func(a, args.GetFieldValue<T1>(0)), Select(resultSelector));

    /// <summary>Makes an aggregate of two arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<T1, T2, TAccumulate>(string name, Func<TAccumulate?, T1, T2, TAccumulate>? func, bool isDeterministic = false) =>
        Aggregate<TAccumulate?>(name, 2, isDeterministic, default, func is null ? null : (a, args) => func(a, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1)), static a => a);

    /// <summary>Makes an aggregate of two arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="seed">The accumulator at first.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<T1, T2, TAccumulate>(string name, TAccumulate seed, Func<TAccumulate, T1, T2, TAccumulate>? func, bool isDeterministic = false) =>
        Aggregate(name, 2, isDeterministic, seed, func is null ? null : (a, args) => func(a, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1)), static a => a);

    /// <summary>Makes an aggregate of two arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="seed">The accumulator at first.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="resultSelector">Makes the result of the accumulator.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<T1, T2, TAccumulate, TResult>(
        string name, TAccumulate seed, Func<TAccumulate, T1, T2, TAccumulate>? func, Func<TAccumulate, TResult>? resultSelector, bool isDeterministic = false) =>
        Aggregate(name, 2, isDeterministic, seed, func is null ? null : (a, args) => func(a, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1)), Select(resultSelector));

    /// <summary>Makes an aggregate of three arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<T1, T2, T3, TAccumulate>(string name, Func<TAccumulate?, T1, T2, T3, TAccumulate>? func, bool isDeterministic = false) =>
        Aggregate<TAccumulate?>(name, 3, isDeterministic, default, func is null ? null : (a, args) => func(a, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2)), static a => a);

    /// <summary>Makes an aggregate of three arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="seed">The accumulator at first.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<T1, T2, T3, TAccumulate>(string name, TAccumulate seed, Func<TAccumulate, T1, T2, T3, TAccumulate>? func, bool isDeterministic = false) =>
        Aggregate(name, 3, isDeterministic, seed, func is null ? null : (a, args) => func(a, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2)), static a => a);

    /// <summary>Makes an aggregate of three arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="seed">The accumulator at first.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="resultSelector">Makes the result of the accumulator.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<T1, T2, T3, TAccumulate, TResult>(
        string name, TAccumulate seed, Func<TAccumulate, T1, T2, T3, TAccumulate>? func, Func<TAccumulate, TResult>? resultSelector, bool isDeterministic = false) =>
        Aggregate(name, 3, isDeterministic, seed, func is null ? null : (a, args) => func(a, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2)), Select(resultSelector));

    /// <summary>Makes an aggregate of four arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="T4">Type of argument 4.</typeparam>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<T1, T2, T3, T4, TAccumulate>(string name, Func<TAccumulate?, T1, T2, T3, T4, TAccumulate>? func, bool isDeterministic = false) =>
        Aggregate<TAccumulate?>(name, 4, isDeterministic, default, func is null ? null : (a, args) => func(a, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2), args.GetFieldValue<T4>(3)), static a => a);

    /// <summary>Makes an aggregate of four arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="T4">Type of argument 4.</typeparam>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="seed">The accumulator at first.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<T1, T2, T3, T4, TAccumulate>(string name, TAccumulate seed, Func<TAccumulate, T1, T2, T3, T4, TAccumulate>? func, bool isDeterministic = false) =>
        Aggregate(name, 4, isDeterministic, seed, func is null ? null : (a, args) => func(a, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2), args.GetFieldValue<T4>(3)), static a => a);

    /// <summary>Makes an aggregate of four arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="T4">Type of argument 4.</typeparam>
    /// <typeparam name="TAccumulate">Type of the accumulator.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="seed">The accumulator at first.</param>
    /// <param name="func">Adds a row.</param>
    /// <param name="resultSelector">Makes the result of the accumulator.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateAggregate<T1, T2, T3, T4, TAccumulate, TResult>(
        string name, TAccumulate seed, Func<TAccumulate, T1, T2, T3, T4, TAccumulate>? func, Func<TAccumulate, TResult>? resultSelector, bool isDeterministic = false) =>
        Aggregate(name, 4, isDeterministic, seed, func is null ? null : (a, args) => func(a, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2), args.GetFieldValue<T4>(3)), Select(resultSelector));
}
