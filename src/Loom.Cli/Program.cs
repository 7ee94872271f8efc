using Loom.Cli;
using Loom.Cli.Internal;

return args is ["internal", ..]
    ? await InternalVerbs.RunAsync([.. args]).ConfigureAwait(false)
    : await CommandLine.RunAsync(args).ConfigureAwait(false);
