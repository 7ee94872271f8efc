using Loom.Cli;

return await CommandLine.RunAsync(args).ConfigureAwait(false);
