using System.Data;
using System.Text.Json.Serialization;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Components.Classes;

// What a user's assembly could hold.
namespace Acme
{
    public sealed record Note(string Text);

    [JsonSerializable(typeof(Note))]
    public sealed partial class NoteJson : JsonSerializerContext;

    public sealed record Raw(string Text);

    public sealed record UpperOptions
    {
        public bool Trim { get; init; }
    }

    [Component("acme.upper", Type = ComponentType.Transformer)]
    public sealed class Upper(UpperOptions options) : Transformer<Note, Note>
    {
        public UpperOptions Options => options;

        protected override ValueTask OnItemAsync(Event<Note> e, Emitter<Note> output, CancellationToken ct) => output.SendAsync(e.Derive(new Note(e.Data.Text.ToUpperInvariant())), ct);
    }

    public sealed class Bare : Transformer<Raw, Raw>
    {
        protected override ValueTask OnItemAsync(Event<Raw> e, Emitter<Raw> output, CancellationToken ct) => default;
    }

    public sealed class Greedy(UpperOptions options, IDbConnection database) : Transformer<Note, Note>
    {
        public object Options => (options, database);

        protected override ValueTask OnItemAsync(Event<Note> e, Emitter<Note> output, CancellationToken ct) => default;
    }

    public sealed class Portless : Component
    {
        protected internal override Task ProcessAsync(ProcessContext ctx, CancellationToken ct) => Task.CompletedTask;
    }

    [Component("acme.looping", Type = ComponentType.Transformer)]
    [Input("in", typeof(Note))]
    [Output("out", typeof(Note))]
    public sealed class Looping : Component
    {
        protected internal override Task ProcessAsync(ProcessContext ctx, CancellationToken ct) => Task.CompletedTask;
    }

    [Capability("Audit", 15)]
    public sealed class Audit : Capability;

    [Capability("Early", 20)]
    public sealed class Early : Capability;
}

namespace Loom.Fast.Tests.Harness.Architecture
{
    /// <summary>The classes of <see cref="Acme"/> as if they stood in <c>lib/Acme.dll</c> and in <c>src/Acme.csproj</c>.</summary>
    internal sealed class AcmeClasses : IClassSource
    {
        public ClassHome Open(UsesPlan uses) => (uses.Assembly ?? uses.Project) switch
        {
            "lib/Acme.dll" or "src/Acme.csproj" => new ClassHome([.. typeof(Acme.Upper).Assembly.GetTypes().Where(t => t.Namespace == "Acme")], "", ""),
            "src/Broken.csproj" => DiskClasses.NotBuilt("src/Broken.csproj", "Chunker.cs(12,9): error CS1002: ; expected"),
            var other => DiskClasses.NoAssembly(other!),
        };
    }
}
