using System.CommandLine;
using System.Text;
using System.Text.Json.Nodes;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Settings;
using Loom.Harness.Architecture.Locking;
using Loom.Harness.Components;
using Loom.Harness.Components.Reference;

namespace Loom.Cli.Harness;

/// <summary><c>loom harness components</c>: the built-ins, and all that is known of one.</summary>
internal static class ComponentsVerb
{
    private static readonly Argument<string?> s_name = new("NAME") { Description = "A built-in; without it all are listed", DefaultValueFactory = _ => null };

    public static Command Create()
    {
        s_name.CompletionSources.Add(_ => ComponentCatalog.BuiltIns.All.Select(d => new System.CommandLine.Completions.CompletionItem(d.Name)));
        var command = Verb.Create("components", "List the built-in components, or show one: config, ports, defaults, guarantees, an example",
            ["loom harness components", "loom harness components jsonl", "loom harness components jsonl --json"], (context, parse, _) =>
            {
                Write(context.Terminal, parse.GetValue(s_name));
                return Task.FromResult(ExitCode.Ok);
            });
        command.Arguments.Add(s_name);
        return command;
    }

    private static void Write(Terminal.Terminal terminal, string? name)
    {
        var catalog = ComponentCatalog.BuiltIns;
        if (name is null)
        {
            List(terminal, [.. catalog.All.Select(ComponentSheet.Of)]);
            return;
        }

        if (catalog.Find(name) is not { } descriptor)
        {
            var near = Nearest.Of(name, catalog.All.Select(d => d.Name));
            throw new CliError(ExitCode.Usage, "UNKNOWN_COMPONENT", $"there is no built-in '{Redaction.Plain(name)}'", near is null ? "loom harness components lists them" : $"loom harness components {near}");
        }

        var sheet = ComponentSheet.Of(descriptor);
        if (terminal.Json)
        {
            terminal.Out.Write(Encoding.UTF8.GetString(CanonicalText.Of(Json(sheet))));
            return;
        }

        One(terminal, sheet);
    }

    private static void List(Terminal.Terminal terminal, IReadOnlyList<ComponentSheet> sheets)
    {
        if (terminal.Json)
        {
            terminal.Out.Write(Encoding.UTF8.GetString(CanonicalText.Of(new JsonArray([.. sheets.Select(Json)]))));
            return;
        }

        terminal.Table([["NAME", "TYPE", ""], .. sheets.OrderBy(s => s.Type, StringComparer.Ordinal).ThenBy(s => s.Name, StringComparer.Ordinal).Select(s => new[] { s.Name, s.Type, s.Summary })]);
    }

    private static void One(Terminal.Terminal terminal, ComponentSheet sheet)
    {
        var output = terminal.Out;
        output.WriteLine($"{terminal.Paint(Tone.Strong, sheet.Name)} ({sheet.Type}): {sheet.Summary}");
        foreach (var guarantee in sheet.Guarantees)
        {
            output.WriteLine("  - " + guarantee);
        }

        output.WriteLine($"\nports{(sheet.PortsFollowConfig ? " (their names follow from the config)" : "")}");
        terminal.Table([["NAME", "CLASS", "DATA", ""], .. sheet.Ports.Select(p => new[] { p.Name, p.Class, p.Data, p.Required ? "required" : "-" })]);
        if (sheet.Keys.Count == 0)
        {
            output.WriteLine("\nIt takes no config.");
        }
        else
        {
            output.WriteLine("\nconfig");
            terminal.Table([["KEY", "DEFAULT", "TYPE", "ALLOWED", ""], .. sheet.Keys.Select(k => new[] { k.Name + (k.Hot ? " (hot)" : ""), Dash(k.Default), k.Type, Dash(k.Allowed), k.Description })]);
        }

        if (sheet.Example.Length > 0)
        {
            output.Write($"\nexample (components of an architecture.yaml; given and expect as in a *.test.yaml)\n{sheet.Example}");
        }
    }

    private static string Dash(string text) => text.Length == 0 ? "-" : text;

    private static JsonObject Json(ComponentSheet sheet) => new()
    {
        ["name"] = sheet.Name,
        ["type"] = sheet.Type,
        ["summary"] = sheet.Summary,
        ["version"] = sheet.Version,
        ["guarantees"] = new JsonArray([.. sheet.Guarantees.Select(g => (JsonNode)JsonValue.Create(g))]),
        ["ports"] = new JsonArray([.. sheet.Ports.Select(p => (JsonNode)new JsonObject { ["name"] = p.Name, ["class"] = p.Class, ["data"] = p.Data, ["required"] = p.Required })]),
        ["ports_follow_config"] = sheet.PortsFollowConfig,
        ["concurrency"] = sheet.Concurrency,
        ["batch_items"] = sheet.BatchItems,
        ["config"] = sheet.Schema,
        ["example"] = sheet.Example,
    };
}
