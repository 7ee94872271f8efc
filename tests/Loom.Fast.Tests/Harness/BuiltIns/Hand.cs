using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Expressions;

namespace Loom.Fast.Tests.Harness.BuiltIns;

/// <summary>Drives a component by hand, without a harness: its name is <c>c</c>, its emitter is kept until it is read.</summary>
internal static class Hand
{
    public static readonly DateTimeOffset Noon = new(2026, 1, 31, 12, 0, 0, TimeSpan.Zero);

    public static Event<JsonElement> Event(string json, long offset = 0, double seconds = 0, string? key = null) =>
        new(EventId.Root("src:0", offset), JsonElement.Parse(json), key, Noon.AddSeconds(seconds));

    public static Expression Expr(string text) => Expression.Compile(text);

    /// <summary>What a component makes of one event, each as <c>port id payload</c> (the port only where there are several).</summary>
    public static async Task<string[]> Give(this ItemComponent<JsonElement, JsonElement> component, string json, long offset = 0, double seconds = 0, int port = 0)
    {
        var output = new Emitter<JsonElement>(component.Outputs);
        await component.HandleAsync(port, Event(json, offset, seconds), output, CancellationToken.None);
        return Shown(component, output);
    }

    /// <summary>What a component gives at the end of its inputs.</summary>
    public static async Task<string[]> End(this ItemComponent<JsonElement, JsonElement> component)
    {
        var output = new Emitter<JsonElement>(component.Outputs);
        await component.FlushAsync(end: true, output, CancellationToken.None);
        return Shown(component, output);
    }

    public static async Task<string[]> TickAt(this ItemComponent<JsonElement, JsonElement> component, DateTimeOffset now)
    {
        var output = new Emitter<JsonElement>(component.Outputs);
        await component.OnTickAsync(now, output, CancellationToken.None);
        return Shown(component, output);
    }

    public static async Task<T> Ready<T>(this T component, TimeProvider? time = null, ItemComponent<JsonElement, JsonElement>? answering = null)
        where T : Component
    {
        await component.SetupAsync(new HandSetup(time ?? TimeProvider.System, answering), CancellationToken.None);
        return component;
    }

    /// <summary>Carries the state of one instance over to another, as a checkpoint does.</summary>
    public static async Task<T> Restored<T>(this T fresh, Component from, int version = 1)
        where T : Component
    {
        var write = (await from.SnapshotAsync(CancellationToken.None))!;
        var bytes = new MemoryStream();
        await write(bytes, CancellationToken.None);
        bytes.Position = 0;
        await fresh.Ready();
        await fresh.RestoreAsync(new RestoredState(version, bytes), CancellationToken.None);
        return fresh;
    }

    public static string[] Faults(IValidatableObject options) => [.. options.Validate(new ValidationContext(options)).Select(r => r.ErrorMessage!)];

    private static string[] Shown(ItemComponent<JsonElement, JsonElement> component, Emitter<JsonElement> output) =>
        [.. output.Select((e, i) => $"{(component.Outputs.Count > 1 ? output.PortOf(i) + " " : "")}{e.Id} {e.Data.GetRawText()}")];

    private sealed class HandSetup(TimeProvider time, ItemComponent<JsonElement, JsonElement>? answering) : SetupContext, IAsk
    {
        public override string Name => "c";

        public override string System => "hand";

        public override string Directory => "/";

        public override TimeProvider Time => time;

        public override IComponentMetrics Metrics { get; } = new NoMetrics();

        public override T Own<T>(T resource) => resource;

        public override string ReadPath(string path) => path;

        public override string WritePath(string path) => path;

        public override IAsk Ask(string port) => answering is null ? base.Ask(port) : this;

        public async ValueTask<JsonElement> AskAsync(Event<JsonElement> request, CancellationToken ct)
        {
            var output = new Emitter<JsonElement>(answering!.Outputs);
            await answering.HandleAsync(0, request, output, ct);
            return output.Single().Data;
        }
    }

    private sealed class NoMetrics : IComponentMetrics
    {
        public void Count(string name, long by = 1)
        {
        }

        public void Set(string name, double value)
        {
        }
    }
}
