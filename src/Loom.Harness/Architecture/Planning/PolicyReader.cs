using Loom.Harness.Alerts;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Components.BuiltIns.Web;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Reads <c>policy</c>.</summary>
internal static class PolicyReader
{
    public static PolicyPlan Read(YamlMapping? map, FindingList findings)
    {
        var keys = new KeyReader(map, "policy", findings);
        var policy = new PolicyPlan { Delivery = Delivery(keys) };
        policy = Lifecycle(policy, new KeyReader(keys.Map("lifecycle"), "policy.lifecycle", findings));
        policy = Limits(policy, new KeyReader(keys.Map("resource_limits"), "policy.resource_limits", findings));
        policy = Security(policy, new KeyReader(keys.Map("security"), "policy.security", findings));
        policy = Observability(policy, keys.Map("observability"), findings);
        keys.Done();
        return policy;
    }

    private static Delivery Delivery(KeyReader keys) => keys.Choice<Promise>("delivery") switch
    {
        Promise.AtMostOnce => Architecture.Delivery.AtMostOnce,
        Promise.AtLeastOnce => Architecture.Delivery.AtLeastOnce,
        Promise.EffectivelyOnce => Architecture.Delivery.EffectivelyOnce,
        _ => Architecture.Delivery.Unset,
    };

    private static PolicyPlan Lifecycle(PolicyPlan policy, KeyReader keys)
    {
        policy = policy with
        {
            SetupTimeout = keys.Time("setup_timeout_s", 0.1, 3600),
            DrainTimeout = keys.Time("drain_timeout_s", 0, 3600),
            CancelTimeout = keys.Time("cancel_timeout_s", 0, 3600),
            CleanupTimeout = keys.Time("cleanup_timeout_s", 0.1, 3600),
        };
        keys.Done();
        return policy;
    }

    private static PolicyPlan Limits(PolicyPlan policy, KeyReader keys)
    {
        policy = policy with
        {
            MaxMemoryMb = keys.Int("max_memory_mb", 16, int.MaxValue, "MB"),
            MaxItemBytes = keys.Long("max_item_bytes", 1024, 1L << 31, "bytes") ?? policy.MaxItemBytes,
        };
        keys.Done();
        return policy;
    }

    private static PolicyPlan Security(PolicyPlan policy, KeyReader keys)
    {
        policy = policy with
        {
            AllowExec = keys.Bool("allow_exec", fallback: true),
            AllowHosts = keys.Texts("allow_hosts"),
            WritePaths = keys.Texts("write_paths"),
            LockDeployment = keys.Bool("lock_deployment"),
        };
        keys.Done();
        return policy;
    }

    private static PolicyPlan Observability(PolicyPlan policy, YamlMapping? map, FindingList findings)
    {
        var keys = new KeyReader(map, "policy.observability", findings);
        var alerts = keys.List("alerts").Select(a => Alert(a, findings)).OfType<AlertPlan>().ToList();
        var webhooks = keys.List("webhooks").Select(w => Webhook(w, policy.AllowHosts, findings)).OfType<WebhookPlan>().ToList();
        Unique(alerts.Select(a => a.Name), "alert", keys.At("alerts", map!), findings);
        Unique(webhooks.Select(w => w.Name), "webhook", keys.At("webhooks", map!), findings);
        policy = policy with { Alerts = alerts, Webhooks = webhooks, TraceSample = keys.Int("sample", 1, int.MaxValue, "events") ?? policy.TraceSample };
        foreach (var alert in alerts.Where(a => a.Webhook is not null && webhooks.All(w => w.Name != a.Webhook)))
        {
            findings.Error(Codes.BadValue, keys.At("alerts", map!), $"alert \"{alert.Name}\" names the webhook \"{alert.Webhook}\", which is none of policy.observability.webhooks");
        }

        keys.Done();
        return policy;
    }

    private static AlertPlan? Alert(YamlNode node, FindingList findings)
    {
        if (node is not YamlMapping map)
        {
            findings.Error(Codes.WrongType, node, $"an alert is {node.Kind}; write {{ name, expr }}");
            return null;
        }

        var keys = new KeyReader(map, "alert", findings);
        var name = Name(keys, map, "alert", findings);
        // A built-in alert has a condition of its own.
        var expression = (name is not null && BuiltInAlerts.Has(name) ? keys.Text("expr") : keys.Required("expr", map)) is null
            ? null : ExpressionText.ReadMetrics(keys, "expr", $"alert \"{name}\"", findings);
        var hold = keys.Time("for", 0, 86_400);
        var keepFiring = keys.Time("keep_firing_for", 0, 86_400);
        var severity = keys.Choice<AlertSeverity>("severity");
        var webhook = keys.Text("webhook");
        var enabled = keys.Bool("enabled", fallback: true);
        keys.Done();
        return name is null || (expression is null && !BuiltInAlerts.Has(name)) ? null : new AlertPlan(name, expression, hold, severity, webhook) { KeepFiringFor = keepFiring, Enabled = enabled };
    }

    // It goes into headers, metrics and files.
    private static string? Name(KeyReader keys, YamlMapping map, string what, FindingList findings)
    {
        var name = keys.Required("name", map);
        if (name is null || (name.Length <= 100 && name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.')))
        {
            return name;
        }

        findings.Error(Codes.BadValue, keys.At("name", map), $"{what}: a name is letters, digits, '_', '-' and '.', at most 100 of them");
        return null;
    }

    private static void Unique(IEnumerable<string> names, string what, YamlNode at, FindingList findings)
    {
        foreach (var twice in names.GroupBy(n => n, StringComparer.Ordinal).Where(g => g.Skip(1).Any()))
        {
            findings.Error(Codes.BadValue, at, $"there are two {what}s \"{twice.Key}\"; give one another name");
        }
    }

    private static WebhookPlan? Webhook(YamlNode node, IReadOnlyList<string> allowed, FindingList findings)
    {
        if (node is not YamlMapping map)
        {
            findings.Error(Codes.WrongType, node, $"a webhook is {node.Kind}; write {{ name, url, secret }}");
            return null;
        }

        var keys = new KeyReader(map, "webhook", findings);
        var name = Name(keys, map, "webhook", findings);
        var text = keys.Required("url", map);
        var secret = keys.Text("secret");
        keys.Done();
        if (text is not null && (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https")))
        {
            findings.Error(Codes.BadValue, keys.At("url", map), "webhook: url is no http or https URL");
            return null;
        }

        if (name is null || text is null)
        {
            return null;
        }

        var address = new Uri(text);
        if (!AllowedHosts.Allows(allowed, address))
        {
            findings.Error(Codes.BadValue, keys.At("url", map), $"webhook \"{name}\": {address.Host}:{address.Port} may not be called; add \"{address.Host}\" to policy.security.allow_hosts");
        }

        return new WebhookPlan(name, address, secret);
    }

    private enum Promise
    {
        AtMostOnce,
        AtLeastOnce,
        EffectivelyOnce,
    }
}
