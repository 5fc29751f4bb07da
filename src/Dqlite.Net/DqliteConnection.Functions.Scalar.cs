namespace Dqlite.Net;

/// <content>Functions by number of arguments.</content>
public sealed partial class DqliteConnection
{
    /// <summary>Makes a function of no arguments; a null function removes it.</summary>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<TResult>(string name, Func<TResult>? function, bool isDeterministic = false) =>
        Function(name, 0, isDeterministic, function is null ? null : _ => function());

    /// <summary>Makes a function of one argument; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<T1, TResult>(string name, Func<T1, TResult>? function, bool isDeterministic = false) =>
        Function(name, 1, isDeterministic, function is null ? null : args => function(args.GetFieldValue<T1>(0)));

    /// <summary>Makes a function of two arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<T1, T2, TResult>(string name, Func<T1, T2, TResult>? function, bool isDeterministic = false) =>
        Function(name, 2, isDeterministic, function is null ? null : args => function(args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1)));

    /// <summary>Makes a function of three arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<T1, T2, T3, TResult>(string name, Func<T1, T2, T3, TResult>? function, bool isDeterministic = false) =>
        Function(name, 3, isDeterministic, function is null ? null : args => function(args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2)));

    /// <summary>Makes a function of four arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="T4">Type of argument 4.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<T1, T2, T3, T4, TResult>(string name, Func<T1, T2, T3, T4, TResult>? function, bool isDeterministic = false) =>
        Function(name, 4, isDeterministic, function is null ? null : args => function(args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2), args.GetFieldValue<T4>(3)));

    /// <summary>Makes a function of five arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="T4">Type of argument 4.</typeparam>
    /// <typeparam name="T5">Type of argument 5.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<T1, T2, T3, T4, T5, TResult>(string name, Func<T1, T2, T3, T4, T5, TResult>? function, bool isDeterministic = false) =>
        Function(name, 5, isDeterministic, function is null ? null : args => function(args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2), args.GetFieldValue<T4>(3), args.GetFieldValue<T5>(4)));

    /// <summary>Makes a function of six arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="T4">Type of argument 4.</typeparam>
    /// <typeparam name="T5">Type of argument 5.</typeparam>
    /// <typeparam name="T6">Type of argument 6.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<T1, T2, T3, T4, T5, T6, TResult>(string name, Func<T1, T2, T3, T4, T5, T6, TResult>? function, bool isDeterministic = false) =>
        Function(name, 6, isDeterministic, function is null ? null : args => function(args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2), args.GetFieldValue<T4>(3), args.GetFieldValue<T5>(4), args.GetFieldValue<T6>(5)));

    /// <summary>Makes a function of seven arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="T4">Type of argument 4.</typeparam>
    /// <typeparam name="T5">Type of argument 5.</typeparam>
    /// <typeparam name="T6">Type of argument 6.</typeparam>
    /// <typeparam name="T7">Type of argument 7.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<T1, T2, T3, T4, T5, T6, T7, TResult>(string name, Func<T1, T2, T3, T4, T5, T6, T7, TResult>? function, bool isDeterministic = false) =>
        Function(name, 7, isDeterministic, function is null ? null : args => function(args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2), args.GetFieldValue<T4>(3), args.GetFieldValue<T5>(4), args.GetFieldValue<T6>(5), args.GetFieldValue<T7>(6)));

    /// <summary>Makes a function of eight arguments; a null function removes it.</summary>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="T4">Type of argument 4.</typeparam>
    /// <typeparam name="T5">Type of argument 5.</typeparam>
    /// <typeparam name="T6">Type of argument 6.</typeparam>
    /// <typeparam name="T7">Type of argument 7.</typeparam>
    /// <typeparam name="T8">Type of argument 8.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<T1, T2, T3, T4, T5, T6, T7, T8, TResult>(string name, Func<T1, T2, T3, T4, T5, T6, T7, T8, TResult>? function, bool isDeterministic = false) =>
        Function(name, 8, isDeterministic, function is null ? null : args => function(args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2), args.GetFieldValue<T4>(3), args.GetFieldValue<T5>(4), args.GetFieldValue<T6>(5), args.GetFieldValue<T7>(6), args.GetFieldValue<T8>(7)));

    /// <summary>Makes a function of no arguments with a state; a null function removes it.</summary>
    /// <typeparam name="TState">Type of the state.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="state">Passed to each call.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<TState, TResult>(string name, TState state, Func<TState, TResult>? function, bool isDeterministic = false) =>
        Function(name, 0, isDeterministic, function is null ? null : _ => function(state));

    /// <summary>Makes a function of one argument with a state; a null function removes it.</summary>
    /// <typeparam name="TState">Type of the state.</typeparam>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="state">Passed to each call.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<TState, T1, TResult>(string name, TState state, Func<TState, T1, TResult>? function, bool isDeterministic = false) =>
        Function(name, 1, isDeterministic, function is null ? null : args => function(state, args.GetFieldValue<T1>(0)));

    /// <summary>Makes a function of two arguments with a state; a null function removes it.</summary>
    /// <typeparam name="TState">Type of the state.</typeparam>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="state">Passed to each call.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<TState, T1, T2, TResult>(string name, TState state, Func<TState, T1, T2, TResult>? function, bool isDeterministic = false) =>
        Function(name, 2, isDeterministic, function is null ? null : args => function(state, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1)));

    /// <summary>Makes a function of three arguments with a state; a null function removes it.</summary>
    /// <typeparam name="TState">Type of the state.</typeparam>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="state">Passed to each call.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<TState, T1, T2, T3, TResult>(string name, TState state, Func<TState, T1, T2, T3, TResult>? function, bool isDeterministic = false) =>
        Function(name, 3, isDeterministic, function is null ? null : args => function(state, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2)));

    /// <summary>Makes a function of four arguments with a state; a null function removes it.</summary>
    /// <typeparam name="TState">Type of the state.</typeparam>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="T4">Type of argument 4.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="state">Passed to each call.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<TState, T1, T2, T3, T4, TResult>(string name, TState state, Func<TState, T1, T2, T3, T4, TResult>? function, bool isDeterministic = false) =>
        Function(name, 4, isDeterministic, function is null ? null : args => function(state, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2), args.GetFieldValue<T4>(3)));

    /// <summary>Makes a function of five arguments with a state; a null function removes it.</summary>
    /// <typeparam name="TState">Type of the state.</typeparam>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="T4">Type of argument 4.</typeparam>
    /// <typeparam name="T5">Type of argument 5.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="state">Passed to each call.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<TState, T1, T2, T3, T4, T5, TResult>(string name, TState state, Func<TState, T1, T2, T3, T4, T5, TResult>? function, bool isDeterministic = false) =>
        Function(name, 5, isDeterministic, function is null ? null : args => function(state, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2), args.GetFieldValue<T4>(3), args.GetFieldValue<T5>(4)));

    /// <summary>Makes a function of six arguments with a state; a null function removes it.</summary>
    /// <typeparam name="TState">Type of the state.</typeparam>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="T4">Type of argument 4.</typeparam>
    /// <typeparam name="T5">Type of argument 5.</typeparam>
    /// <typeparam name="T6">Type of argument 6.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="state">Passed to each call.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<TState, T1, T2, T3, T4, T5, T6, TResult>(string name, TState state, Func<TState, T1, T2, T3, T4, T5, T6, TResult>? function, bool isDeterministic = false) =>
        Function(name, 6, isDeterministic, function is null ? null : args => function(state, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2), args.GetFieldValue<T4>(3), args.GetFieldValue<T5>(4), args.GetFieldValue<T6>(5)));

    /// <summary>Makes a function of seven arguments with a state; a null function removes it.</summary>
    /// <typeparam name="TState">Type of the state.</typeparam>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="T4">Type of argument 4.</typeparam>
    /// <typeparam name="T5">Type of argument 5.</typeparam>
    /// <typeparam name="T6">Type of argument 6.</typeparam>
    /// <typeparam name="T7">Type of argument 7.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="state">Passed to each call.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<TState, T1, T2, T3, T4, T5, T6, T7, TResult>(string name, TState state, Func<TState, T1, T2, T3, T4, T5, T6, T7, TResult>? function, bool isDeterministic = false) =>
        Function(name, 7, isDeterministic, function is null ? null : args => function(state, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2), args.GetFieldValue<T4>(3), args.GetFieldValue<T5>(4), args.GetFieldValue<T6>(5), args.GetFieldValue<T7>(6)));

    /// <summary>Makes a function of eight arguments with a state; a null function removes it.</summary>
    /// <typeparam name="TState">Type of the state.</typeparam>
    /// <typeparam name="T1">Type of argument 1.</typeparam>
    /// <typeparam name="T2">Type of argument 2.</typeparam>
    /// <typeparam name="T3">Type of argument 3.</typeparam>
    /// <typeparam name="T4">Type of argument 4.</typeparam>
    /// <typeparam name="T5">Type of argument 5.</typeparam>
    /// <typeparam name="T6">Type of argument 6.</typeparam>
    /// <typeparam name="T7">Type of argument 7.</typeparam>
    /// <typeparam name="T8">Type of argument 8.</typeparam>
    /// <typeparam name="TResult">Type of the result.</typeparam>
    /// <param name="name">Its name.</param>
    /// <param name="state">Passed to each call.</param>
    /// <param name="function">What it does.</param>
    /// <param name="isDeterministic">Whether equal arguments always give equal results.</param>
    public void CreateFunction<TState, T1, T2, T3, T4, T5, T6, T7, T8, TResult>(string name, TState state, Func<TState, T1, T2, T3, T4, T5, T6, T7, T8, TResult>? function, bool isDeterministic = false) =>
        Function(name, 8, isDeterministic, function is null ? null : args => function(state, args.GetFieldValue<T1>(0), args.GetFieldValue<T2>(1), args.GetFieldValue<T3>(2), args.GetFieldValue<T4>(3), args.GetFieldValue<T5>(4), args.GetFieldValue<T6>(5), args.GetFieldValue<T7>(6), args.GetFieldValue<T8>(7)));
}
