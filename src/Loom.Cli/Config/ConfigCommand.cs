using System.CommandLine;
using System.Globalization;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Settings;

namespace Loom.Cli.Config;

/// <summary><c>loom config</c>: what is in force, why, and whether it is right. Reads everything, changes nothing.</summary>
public static class ConfigCommand
{
    private static readonly string[] s_parts = ["up", "queen-rbee", "pool-managerd", "engine-provisioner"];

    /// <summary>The command and its five subcommands.</summary>
    /// <param name="registry">The settings of this build.</param>
    public static Command Create(SettingRegistry registry)
    {
        var config = new Command("config", "Show, explain and check the configuration")
        {
            Show(registry), Explain(registry), Check(), Schema(registry), Env(registry), Reference(registry),
        };
        Examples.Set(config, ["loom config show", "loom config explain serving.bind", "loom config check --strict"]);
        return config;
    }

    private static Command Show(SettingRegistry registry)
    {
        var prefix = new Argument<string?>("PREFIX") { Description = "Only keys that begin with it, for example serving.pools", DefaultValueFactory = _ => null };
        var changed = new Option<bool>("--changed") { Description = "Only what is not a default" };
        var running = new Option<bool>("--running") { Description = "What has changed since the running Loom was started" };
        var command = Verb.Create("show", "Print the result as TOML that loads again", ["loom config show", "loom config show serving --changed"], (context, parse, _) =>
        {
            var result = ProcessConfiguration.Load(context, parse, LoomPart.Up);
            Report(context, result);
            if (parse.GetValue(running))
            {
                return Task.FromResult(RunningConfig.Compare(context, result.Snapshot, registry));
            }

            var shown = ShownSetting.All(result.Snapshot, registry)
                .Where(s => Below(s.Key, parse.GetValue(prefix)) && (!parse.GetValue(changed) || s.Value.Source.IsGiven)).ToList();
            context.Terminal.Out.Write(context.Terminal.Json ? ConfigJson.Show(result.Snapshot, shown) + "\n" : ShowText.Write(result.Snapshot, shown));
            return Task.FromResult(result.Ok ? ExitCode.Ok : ExitCode.Usage);
        });
        command.Arguments.Add(prefix);
        command.Options.Add(changed);
        command.Options.Add(running);
        return command;
    }

    private static Command Explain(SettingRegistry registry)
    {
        var name = new Argument<string>("KEY|VARIABLE") { Description = "A key such as serving.bind, or a variable" };
        var command = Verb.Create("explain", "Tell what a setting does, what it may be, and which layer decides it",
            ["loom config explain serving.bind", "loom config explain ORCHD_ADDR"], (context, parse, _) =>
        {
            var asked = parse.GetValue(name)!;
            var result = ProcessConfiguration.Load(context, parse, LoomPart.Up);
            var parts = KeyText.Split(asked);
            var setting = registry.OfVariable(asked);
            parts = setting is null ? parts : [.. setting.Segments];
            setting ??= parts is null ? null : registry.Find(parts);
            if (setting is null)
            {
                var near = Nearest.Of(asked, registry.All.SelectMany(s => s.Variables.Append(s.Key)));
                throw new CliError(ExitCode.Usage, "UNKNOWN_SETTING", $"no setting is called '{Redaction.Plain(asked)}'", near is null ? "loom config show lists them" : $"did you mean {near}?");
            }

            var shown = ShownSetting.Of(result.Snapshot, setting, parts!);
            context.Terminal.Out.Write(context.Terminal.Json ? ConfigJson.Explain(result, shown) + "\n" : ExplainText.Write(result, shown));
            return Task.FromResult(ExitCode.Ok);
        });
        command.Arguments.Add(name);
        return command;
    }

    private static Command Check()
    {
        var part = new Option<string>("--part") { Description = "Judge as this part would at its start", DefaultValueFactory = _ => "up" };
        part.AcceptOnlyFromAmong(s_parts);
        var strict = new Option<bool>("--strict") { Description = "Warnings fail too" };
        var timings = new Option<bool>("--timings") { Description = "Tell how long the first and a repeated load take" };
        var command = Verb.Create("check", "Judge the configuration as a start would, and start nothing", ["loom config check", "loom config check --part pool-managerd --strict"], (context, parse, _) =>
        {
            var judged = (LoomPart)Array.IndexOf(s_parts, parse.GetValue(part));
            var started = context.Time.GetTimestamp();
            var result = ProcessConfiguration.Load(context, parse, judged);
            var first = context.Time.GetElapsedTime(started);
            Tell(context.Terminal, result);
            if (parse.GetValue(timings))
            {
                Timings(context, parse, judged, first);
            }

            var ok = result.Ok && (!parse.GetValue(strict) || result.Faults.IsEmpty);
            return Task.FromResult(ok ? ExitCode.Ok : ExitCode.Usage);
        });
        command.Options.Add(part);
        command.Options.Add(strict);
        command.Options.Add(timings);
        return command;
    }

    private static Command Schema(SettingRegistry registry) => Verb.Create("schema", "Print the JSON Schema of loom.toml", ["loom config schema > loom.schema.json"], (context, _, _) =>
    {
        context.Terminal.Out.Write(SchemaDocument.Write(registry));
        return Task.FromResult(ExitCode.Ok);
    });

    private static Command Env(SettingRegistry registry)
    {
        var all = new Option<bool>("--all") { Description = "Also variables that are not set" };
        var template = new Option<bool>("--template") { Description = "Print an env file with every variable as a comment" };
        var child = new Option<string?>("--child") { Description = "What a child of this kind gets instead: agent or engine", HelpName = "KIND" };
        child.AcceptOnlyFromAmong(EnvListing.Children);
        var command = Verb.Create("env", "List the variables Loom reads that are set", ["loom config env", "loom config env --child agent", "loom config env --template > .env"], (context, parse, _) =>
        {
            if (parse.GetValue(template))
            {
                context.Terminal.Out.Write(EnvListing.Template(registry));
                return Task.FromResult(ExitCode.Ok);
            }

            var result = ProcessConfiguration.Load(context, parse, LoomPart.Up);
            Report(context, result);
            var lines = (parse.GetValue(child) is { } kind ? EnvListing.OfChild(result, registry, kind) : EnvListing.Lines(result, registry, parse.GetValue(all))).ToList();
            if (context.Terminal.Json)
            {
                context.Terminal.Out.WriteLine(ConfigJson.Env(lines));
            }
            else
            {
                context.Terminal.Table([["NAME", "VALUE", "SOURCE", "KEY"], .. lines.Select(l => new[] { l.Name, l.Value ?? "-", l.Source is null ? "-" : SourceText.Of(l.Source), l.Key })]);
            }

            return Task.FromResult(result.Ok ? ExitCode.Ok : ExitCode.Usage);
        });
        command.Options.Add(all);
        command.Options.Add(template);
        command.Options.Add(child);
        return command;
    }

    private static Command Reference(SettingRegistry registry)
    {
        var folder = new Argument<string>("DIR") { Description = "Folder to write to" };
        var command = Verb.Create("reference", "Write the reference documents of this build", ["loom config reference docs/reference"], async (context, parse, cancellationToken) =>
        {
            foreach (var (file, text) in ReferenceDocuments.All(registry))
            {
                await File.WriteAllTextAsync(Path.Combine(context.WorkingDirectory, parse.GetValue(folder)!, file), text, cancellationToken).ConfigureAwait(false);
            }

            var cli = Path.Combine(context.WorkingDirectory, parse.GetValue(folder)!, "cli.md");
            if (File.Exists(cli))
            {
                var document = await File.ReadAllTextAsync(cli, cancellationToken).ConfigureAwait(false);
                await File.WriteAllTextAsync(cli, CliReference.In(document, parse.RootCommandResult.Command), cancellationToken).ConfigureAwait(false);
            }

            return ExitCode.Ok;
        });
        command.Arguments.Add(folder);
        command.Hidden = true;
        return command;
    }

    private static void Tell(Terminal.Terminal terminal, LoadResult result)
    {
        if (terminal.Json)
        {
            terminal.Out.WriteLine(ConfigJson.Check(result));
        }
        else
        {
            (result.Faults.IsEmpty ? terminal.Out : terminal.Err).Write(FaultText.Write(result, starting: false, terminal.Color));
        }
    }

    private static void Report(VerbContext context, LoadResult result)
    {
        if (result.Faults.Length > 0)
        {
            context.Terminal.Err.Write(FaultText.Write(result, starting: false, context.Terminal.Color));
        }
    }

    private static void Timings(VerbContext context, ParseResult parse, LoomPart part, TimeSpan first)
    {
        const int Rounds = 20;
        var fastest = TimeSpan.MaxValue;
        for (var i = 0; i < Rounds; i++)
        {
            var started = context.Time.GetTimestamp();
            _ = ProcessConfiguration.Load(context, parse, part);
            var took = context.Time.GetElapsedTime(started);
            fastest = took < fastest ? took : fastest;
        }

        context.Terminal.Err.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"first load {first.TotalMilliseconds:0.00} ms, fastest of {Rounds} more {fastest.TotalMilliseconds:0.00} ms (files read each time)"));
    }

    private static bool Below(string key, string? prefix) =>
        prefix is null || string.Equals(key, prefix, StringComparison.Ordinal) || key.StartsWith(prefix.TrimEnd('.') + ".", StringComparison.Ordinal);
}
