using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Loom.Harness.Architecture.Locking;

/// <summary>A component as a lock holds it.</summary>
/// <param name="Uses">What it is made of.</param>
/// <param name="Implementation">SHA-256 of its code.</param>
/// <param name="Config">SHA-256 of its config as the architecture writes it.</param>
/// <param name="Chain">Its capabilities in order of execution.</param>
internal sealed record LockedComponent(string Uses, string Implementation, string Config, IReadOnlyList<LockedCapability> Chain);

/// <summary>A link of a chain as a lock holds it.</summary>
/// <param name="Name">Of the capability.</param>
/// <param name="Tier">Lower is further out.</param>
/// <param name="Kernel">Whether it is always there.</param>
/// <param name="Config">Its settings, canonical.</param>
internal sealed record LockedCapability(string Name, int Tier, bool Kernel, string Config);

/// <summary>What was agreed about a system, as <c>build.lock</c> holds it. Immutable.</summary>
internal sealed record LockContent
{
    public const string FileName = "build.lock";

    /// <summary>Version of the file's format.</summary>
    public const int Format = 1;

    public required string System { get; init; }

    public required string Version { get; init; }

    /// <summary>SHA-256 by path relative to the system's folder.</summary>
    public required IReadOnlyDictionary<string, string> Inputs { get; init; }

    public required IReadOnlyDictionary<string, LockedComponent> Components { get; init; }

    /// <summary>Order of declaration.</summary>
    public required IReadOnlyList<string> SetupOrder { get; init; }

    /// <summary>Hash of the canonical graph.</summary>
    public required string Graph { get; init; }

    /// <summary>SHA-256 of all the above; of a file, the one that stands in it.</summary>
    public string LockHash { get; init; } = "";

    /// <summary>SHA-256 of what stands above <c>lock_hash</c>.</summary>
    public string ComputeHash() => CanonicalText.Hash(Json(withHash: false));

    /// <summary>The file's bytes.</summary>
    public byte[] ToBytes() => CanonicalText.Of(Json(withHash: true));

    /// <summary>Reads a file's bytes.</summary>
    /// <exception cref="FormatException">They are no lock; the message says why.</exception>
    public static LockContent Parse(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            using var document = JsonDocument.Parse(bytes);
            var root = document.RootElement;
            var version = root.GetProperty("lock_version").GetInt32();
            if (version != Format)
            {
                throw new FormatException($"lock_version is {version}; this loom reads {Format}");
            }

            return new LockContent
            {
                System = Text(root.GetProperty("system"), "name"),
                Version = Text(root.GetProperty("system"), "version"),
                Inputs = root.GetProperty("inputs").EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetString()!, StringComparer.Ordinal),
                Components = root.GetProperty("components").EnumerateObject().ToDictionary(p => p.Name, p => Component(p.Value), StringComparer.Ordinal),
                SetupOrder = [.. root.GetProperty("setup_order").EnumerateArray().Select(n => n.GetString()!)],
                Graph = Text(root, "graph"),
                LockHash = Text(root, "lock_hash"),
            };
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or ArgumentException)
        {
            throw new FormatException(e is JsonException ? "it is no JSON" : "a field is missing or of another kind", e);
        }
    }

    private static LockedComponent Component(JsonElement element) => new(
        Compact(element.GetProperty("uses")),
        Text(element, "implementation"),
        Text(element, "config"),
        [.. element.GetProperty("capabilities").EnumerateArray().Select(c => new LockedCapability(Text(c, "name"), c.GetProperty("tier").GetInt32(), c.GetProperty("kernel").GetBoolean(), Compact(c.GetProperty("config"))))]);

    private static string Text(JsonElement element, string key) => element.GetProperty(key).GetString() ?? throw new InvalidOperationException();

    private static string Compact(JsonElement element) => Encoding.UTF8.GetString(CanonicalText.Of(CanonicalText.Node(element)));

    private JsonObject Json(bool withHash)
    {
        var root = new JsonObject
        {
            ["lock_version"] = Format,
            ["system"] = new JsonObject { ["name"] = System, ["version"] = Version },
            ["inputs"] = new JsonObject(Inputs.Select(i => KeyValuePair.Create(i.Key, (JsonNode?)JsonValue.Create(i.Value)))),
            ["components"] = new JsonObject(Components.Select(c => KeyValuePair.Create(c.Key, (JsonNode?)Component(c.Value)))),
            ["setup_order"] = new JsonArray([.. SetupOrder.Select(n => (JsonNode)JsonValue.Create(n))]),
            ["graph"] = Graph,
        };
        if (withHash)
        {
            root["lock_hash"] = LockHash;
        }

        return root;
    }

    private static JsonObject Component(LockedComponent component) => new()
    {
        ["uses"] = JsonNode.Parse(component.Uses),
        ["implementation"] = component.Implementation,
        ["config"] = component.Config,
        ["capabilities"] = new JsonArray([.. component.Chain.Select(c => (JsonNode)new JsonObject
        {
            ["name"] = c.Name, ["tier"] = c.Tier, ["kernel"] = c.Kernel, ["config"] = JsonNode.Parse(c.Config),
        })]),
    };
}
