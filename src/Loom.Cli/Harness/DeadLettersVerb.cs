using System.Buffers;
using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Settings;
using Loom.Harness.Architecture.Planning;
using Loom.Harness.Errors;
using Loom.Harness.Secrets;

namespace Loom.Cli.Harness;

/// <summary><c>loom harness dead-letters</c>: events that could not be processed. All but retry work on the files alone, whether a system runs or not, and with files that are wrong.</summary>
internal static class DeadLettersVerb
{
    private const int DefaultLimit = 100;

    private static readonly Argument<string> s_directory = HarnessSession.DirectoryArgument();
    private static readonly Argument<string> s_id = new("ID") { Description = "The letter, as list shows it" };
    private static readonly Argument<string[]> s_ids = new("ID") { Description = "Letters, as list shows them (default: all)", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Option<string?> s_component = new("--component") { Description = "Only of this component", HelpName = "C" };
    private static readonly Option<int?> s_limit = new("--limit") { Description = "Letters shown, the newest (default: 100)", HelpName = "N" };
    private static readonly Option<string?> s_to = new("--to") { Description = "File to write (default: stdout); an existing one is replaced", HelpName = "FILE" };

    public static Command Create()
    {
        var command = new Command("dead-letters", "Events that could not be processed: list, show, retry, export, purge");
        command.Subcommands.Add(Make("list", "List the letters", ["loom harness dead-letters list", "loom harness dead-letters list --component store --json"], [s_directory, s_component, s_limit], List));
        command.Subcommands.Add(Make("show", "Show one letter: its error, its event, its payload", ["loom harness dead-letters show 19ac3f2b1c0-7f3a11-1"], [s_id, s_directory], Show));
        command.Subcommands.Add(Make(
            "retry", "Send letters again to the component that failed on them, in the running system",
            ["loom harness dead-letters retry", "loom harness dead-letters retry 19ac3f2b1c0-7f3a11-1", "loom harness dead-letters retry --component store --dir samples/pipeline/enrich"],
            [s_ids, s_component, RunningVerbs.DirectoryOption], RetryAsync));
        command.Subcommands.Add(Make("export", "Write the letters as JSON lines, secrets masked", ["loom harness dead-letters export --to letters.jsonl"], [s_directory, s_component, s_to], Export));
        command.Subcommands.Add(Make("purge", "Remove the letters for good", ["loom harness dead-letters purge --component store"], [s_directory, s_component], PurgeAsync));
        Examples.Set(command, ["loom harness dead-letters list", "loom harness dead-letters purge"]);
        return command;
    }

    private static Command Make(string name, string description, string[] examples, Symbol[] symbols, Func<VerbContext, ParseResult, CancellationToken, Task<int>> action)
    {
        var command = Verb.Create(name, description, examples, action);
        foreach (var symbol in symbols)
        {
            if (symbol is Argument argument)
            {
                command.Arguments.Add(argument);
            }
            else
            {
                command.Options.Add((Option)symbol);
            }
        }

        return command;
    }

    private static Task<int> List(VerbContext context, ParseResult parse, CancellationToken stop)
    {
        var terminal = context.Terminal;
        var limit = parse.GetValue(s_limit) ?? DefaultLimit;
        var all = 0L;
        var newest = new PriorityQueue<ErrorRecord, DateTimeOffset>();
        var damaged = Each(context, parse, letter =>
        {
            all++;
            newest.Enqueue(letter.Record, letter.Record.Time);
            if (newest.Count > limit)
            {
                newest.Dequeue();
            }
        });
        var shown = new List<ErrorRecord>();
        while (newest.TryDequeue(out var record, out _))
        {
            shown.Add(record);
        }

        shown.Reverse();
        if (terminal.Json)
        {
            terminal.Out.WriteLine(new JsonObject
            {
                ["total"] = all,
                ["letters"] = new JsonArray([.. shown.Select(r => JsonSerializer.SerializeToNode(r, ErrorJson.Default.ErrorRecord))]),
                ["damaged"] = new JsonArray([.. damaged.Select(d => (JsonNode)new JsonObject { ["file"] = d.File, ["line"] = d.Line, ["reason"] = d.Reason })]),
            }.ToJsonString());
            return Task.FromResult(ExitCode.Ok);
        }

        if (shown.Count > 0)
        {
            terminal.Table([["ID", "TIME", "COMPONENT", "CODE", "EVENT", ""], .. shown.Select(r => new[]
            {
                r.ErrorId, r.Time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture), r.Component, r.Code, r.Event.Id, OneLine(r.Message),
            })]);
        }

        terminal.Note(all == 0 ? "there are no dead letters" : $"{shown.Count} of {all} dead letters");
        TellDamaged(terminal, damaged);
        return Task.FromResult(ExitCode.Ok);
    }

    private static Task<int> Show(VerbContext context, ParseResult parse, CancellationToken stop)
    {
        var id = parse.GetValue(s_id)!;
        string? found = null;
        Each(context, parse, letter => found ??= letter.Record.ErrorId == id ? Whole(letter, indented: !context.Terminal.Json) : null);
        if (found is null)
        {
            throw NoLetter([id], 0, 0);
        }

        context.Terminal.Out.WriteLine(found);
        return Task.FromResult(ExitCode.Ok);
    }

    private static Task<int> Export(VerbContext context, ParseResult parse, CancellationToken stop)
    {
        var count = 0L;
        var to = parse.GetValue(s_to);
        IReadOnlyList<DamagedLine> damaged;
        if (to is null)
        {
            damaged = Each(context, parse, letter => context.Terminal.Out.WriteLine(Whole(letter)));
        }
        else
        {
            // Payloads may be anything: for their owner alone.
            var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite };
            using var file = new StreamWriter(Path.GetFullPath(to, context.WorkingDirectory), options);
            damaged = Each(context, parse, letter =>
            {
                file.WriteLine(Whole(letter));
                count++;
            });
            context.Terminal.Note($"{count} dead letters written to {to}");
        }

        TellDamaged(context.Terminal, damaged);
        return Task.FromResult(ExitCode.Ok);
    }

    private static async Task<int> RetryAsync(VerbContext context, ParseResult parse, CancellationToken stop)
    {
        var (name, client) = RunningVerbs.Find(context, parse.GetValue(RunningVerbs.DirectoryOption)!);
        using (client)
        {
            var ids = parse.GetValue(s_ids)!.Distinct(StringComparer.Ordinal).ToList();
            var body = new JsonObject { ["ids"] = new JsonArray([.. ids.Select(i => JsonValue.Create(i))]), ["component"] = Component(parse) };
            var report = (await client.PostAsync($"/v2/harness/systems/{name}/dead-letters/retry", body, stop).ConfigureAwait(false))!.Value;
            var (sent, kept) = (report.GetProperty("sent").GetInt64(), report.GetProperty("kept").GetInt64());
            if (sent + kept < ids.Count)
            {
                throw NoLetter(ids, sent + kept, sent);
            }

            if (context.Terminal.Json)
            {
                context.Terminal.Out.WriteLine(report.GetRawText());
            }
            else
            {
                context.Terminal.Note($"{(sent == 1 ? "one dead letter" : $"{sent} dead letters")} sent again{Kept(kept, report.GetProperty("not_tried").GetInt64())}");
            }

            return kept == 0 ? ExitCode.Ok : ExitCode.Failed;
        }
    }

    private static string Kept(long kept, long notTried) =>
        kept == 0 ? "" : notTried == 0 ? $", {kept} kept: their component takes none now" : $", {kept} kept: the turn of {notTried} did not come in time, so send them again";

    private static async Task<int> PurgeAsync(VerbContext context, ParseResult parse, CancellationToken stop)
    {
        var component = Component(parse);
        var count = 0L;
        foreach (var files in Systems(context, parse))
        {
            var components = component is null ? files.Components() : [component];
            count += components.Sum(c => new DeadLetterReader(files, c).Read().LongCount());
            await files.RemoveAsync(components, static _ => false, stop).ConfigureAwait(false);
        }

        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(new JsonObject { ["purged"] = count }.ToJsonString());
        }
        else
        {
            context.Terminal.Note($"{count} dead letters removed");
        }

        return ExitCode.Ok;
    }

    // Every system that ran in the folder: its name is not asked of files that may be wrong.
    private static IEnumerable<DeadLetterFiles> Systems(VerbContext context, ParseResult parse)
    {
        var folder = Path.GetFullPath(parse.GetValue(s_directory)!, context.WorkingDirectory);
        if (!Directory.Exists(folder))
        {
            throw new CliError(ExitCode.Usage, "NO_SYSTEM", $"there is no folder {folder}");
        }

        var state = Path.Combine(folder, ".loom", "harness");
        return Directory.Exists(state)
            ? Directory.EnumerateDirectories(state).Select(d => Path.Combine(d, "dead")).Where(Directory.Exists).Order(StringComparer.Ordinal).Select(d => new DeadLetterFiles(d, context.Time))
            : [];
    }

    private static List<DamagedLine> Each(VerbContext context, ParseResult parse, Action<DeadLetter> take)
    {
        var damaged = new List<DamagedLine>();
        var component = parse.GetResult(s_component) is null ? null : Component(parse);
        foreach (var files in Systems(context, parse))
        {
            foreach (var name in component is null ? files.Components() : [component])
            {
                var reader = new DeadLetterReader(files, name);
                foreach (var letter in reader.Read())
                {
                    take(letter);
                }

                damaged.AddRange(reader.Damaged);
            }
        }

        return damaged;
    }

    // It becomes part of the names of files.
    private static string? Component(ParseResult parse) => parse.GetValue(s_component) is not { } name ? null
        : ComponentPlanner.IsName(name) ? name
        : throw new CliError(ExitCode.Usage, "BAD_NAME", $"'{Redaction.Plain(name)}' is no name of a component: a-z, 0-9 and _, a letter first", "loom harness dead-letters list");

    private static CliError NoLetter(IReadOnlyList<string> asked, long met, long sent) => new(
        ExitCode.Usage,
        "NO_LETTER",
        asked is [var id] ? $"there is no dead letter '{Redaction.Plain(id)}'" : $"{asked.Count - met} of the {asked.Count} dead letters asked for are not there; {sent} were sent again",
        "loom harness dead-letters list");

    private static string Whole(DeadLetter letter, bool indented = false)
    {
        var bytes = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(bytes, new JsonWriterOptions { Indented = indented }))
        {
            json.WriteStartObject();
            using (var record = JsonSerializer.SerializeToDocument(letter.Record, ErrorJson.Default.ErrorRecord))
            {
                foreach (var field in record.RootElement.EnumerateObject())
                {
                    field.WriteTo(json);
                }
            }

            json.WriteStartObject("headers");
            foreach (var (name, value) in letter.ShownHeaders())
            {
                json.WriteString(name, value);
            }

            json.WriteEndObject();
            json.WritePropertyName("payload");
            SecretFields.Write(json, letter.Payload, letter.Secrets);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    private static string OneLine(string text)
    {
        const int Longest = 80;
        var line = text.ReplaceLineEndings(" ");
        return line.Length <= Longest ? line : line[..Longest] + " …";
    }

    private static void TellDamaged(Terminal.Terminal terminal, IReadOnlyList<DamagedLine> damaged)
    {
        foreach (var line in damaged.Take(10))
        {
            terminal.Note($"{line.File}:{line.Line} is damaged: {line.Reason}");
        }

        if (damaged.Count > 10)
        {
            terminal.Note($"and {damaged.Count - 10} more damaged lines");
        }
    }
}
