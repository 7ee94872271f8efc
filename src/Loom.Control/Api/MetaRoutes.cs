using System.Reflection;
using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Control.Placement;
using Loom.Core.Web;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Api;

/// <summary><c>/v2/meta/version</c> and <c>/v2/meta/capabilities</c>.</summary>
internal sealed class MetaRoutes(ReplicaTable replicas, AdmissionOptions admission, ApiOptions options)
{
    private const string ApiVersion = "2.0";

    private static readonly string s_version = typeof(MetaRoutes).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    /// <summary>The routes.</summary>
    public IEnumerable<ApiRoute> Routes =>
    [
        new("GET", "/v2/meta/version", Scopes.None, call => VersionAsync(call.Http)),
        new("GET", "/v2/meta/capabilities", Scopes.None, call => CapabilitiesAsync(call.Http)),
    ];

    private Task VersionAsync(HttpContext http) => JsonAnswer.WriteAsync(http, StatusCodes.Status200OK, options, static (json, options) =>
    {
        json.WriteStartObject();
        json.WriteString("api_version"u8, ApiVersion);
        json.WriteString("version"u8, s_version);
        json.WriteString("build_commit"u8, options.BuildCommit);
        json.WriteString("build_time"u8, options.BuildTime);
        json.WriteEndObject();
    });

    private Task CapabilitiesAsync(HttpContext http) =>
        JsonAnswer.WriteAsync(http, StatusCodes.Status200OK, (replicas.Current, admission, options), static (json, state) =>
        {
            var (snapshot, admission, options) = state;
            json.WriteStartObject();
            json.WriteString("api_version"u8, ApiVersion);
            json.WriteStartArray("engines"u8);
            foreach (var engine in snapshot.Replicas.GroupBy(r => r.Status.EngineKind, StringComparer.Ordinal))
            {
                json.WriteStartObject();
                json.WriteString("engine"u8, engine.Key);
                json.WritePropertyName("ctx_max"u8);
                if (engine.Max(r => r.Status.Ctx) is { } ctx)
                {
                    json.WriteNumberValue(ctx);
                }
                else
                {
                    json.WriteNullValue();
                }

                var features = engine.SelectMany(r => r.Status.Capabilities).Distinct(StringComparer.Ordinal).ToList();
                json.WriteStartArray("supported_workloads"u8);
                json.WriteStringValue("completion"u8);
                if (features.Contains("embeddings"))
                {
                    json.WriteStringValue("embedding"u8);
                }

                if (features.Contains(InferenceRoute.Rerank.Capability))
                {
                    json.WriteStringValue("rerank"u8);
                }

                json.WriteEndArray();
                json.WriteStartArray("features"u8);
                features.ForEach(json.WriteStringValue);
                json.WriteEndArray();
                json.WriteStartObject("rate_limits"u8);
                json.WriteNumber("slots"u8, engine.Sum(r => r.Status.SlotsTotal));
                json.WriteEndObject();
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteStartArray("placement_strategies"u8);
            foreach (var name in PlacementStrategies.Names)
            {
                json.WriteStringValue(name);
            }

            json.WriteEndArray();
            json.WriteStartObject("admission"u8);
            json.WriteNumber("capacity"u8, admission.Capacity);
            json.WriteString("policy"u8, admission.PolicyName);
            json.WriteEndObject();
            json.WriteString("profile"u8, options.Profile);
            json.WriteEndObject();
        });
}
