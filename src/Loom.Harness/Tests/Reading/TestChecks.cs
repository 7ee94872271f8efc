using Loom.Components;
using Loom.Core.Settings;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Checks;

namespace Loom.Harness.Tests.Reading;

/// <summary>Whether a test file speaks of components and ports the system has, and asks for what can be done.</summary>
internal sealed class TestChecks(SystemPlan plan, FindingList findings)
{
    private readonly Dictionary<string, ComponentPlan> _components = plan.Components.ToDictionary(c => c.Name, StringComparer.Ordinal);

    /// <summary>The cases with every port named in full, or null after an error.</summary>
    public IReadOnlyList<TestCase>? Check(TestFile file)
    {
        var before = findings.ErrorCount;
        var cases = file.Cases.Select(Check).ToList();
        return findings.ErrorCount == before ? cases : null;
    }

    private TestCase Check(TestCase test)
    {
        foreach (var (name, place) in test.Only ?? new Dictionary<string, TestPlace>())
        {
            Component(name, place, "only");
        }

        foreach (var (name, mock) in test.Mocks)
        {
            if (Component(name, mock.Place, "mocks") is { } component)
            {
                CheckMock(component, mock, test);
            }
        }

        if (test.Only is { } only)
        {
            foreach (var binding in plan.Bindings.Where(b => only.ContainsKey(b.FromComponent) && !only.ContainsKey(b.ToComponent) && IsAsking(b)))
            {
                Error(Codes.TestValue, only[binding.FromComponent], $"only: {binding.FromComponent} asks {binding.ToComponent}, which does not run; add it to only, and a mock where it shall not do its work");
            }
        }

        return test with
        {
            Given = [.. test.Given.Select(g => g with { Port = Port(g.Port, g.Place, "given") })],
            Expect = [.. test.Expect.Select(e => e with { Port = Port(e.Port, e.Place, "expect") })],
        };
    }

    private bool IsAsking(BindingPlan binding) =>
        _components.GetValueOrDefault(binding.FromComponent)?.Ports.FirstOrDefault(p => !p.IsInput && p.Name == binding.FromPort)?.Flow == FlowType.RequestResponse
        && _components.GetValueOrDefault(binding.ToComponent)?.Type != ComponentType.ApiEndpoint;

    private void CheckMock(ComponentPlan component, MockPlan mock, TestCase test)
    {
        if (component.Type is ComponentType.Source or ComponentType.ApiEndpoint)
        {
            Error(Codes.TestValue, mock.Place, $"mocks: {component.Name} brings events in; give them instead: given: {{ {component.Name}.out: [...] }}");
        }
        else if (mock is { Recording: null, Replies: null, Fail: not null } && !IsJson(component) && test.Only?.ContainsKey(component.Name) != false)
        {
            Error(Codes.TestValue, mock.Place, $"mocks: fail alone lets {component.Name} itself handle the other events, which works for components that take and give JSON; add replies or a recording");
        }
    }

    private static bool IsJson(ComponentPlan component) =>
        component.Ports.All(p => p.Data == typeof(System.Text.Json.JsonElement)) && (component.Descriptor.ExecutesChain || component.Uses.Command is not null);

    private ComponentPlan? Component(string name, TestPlace place, string what)
    {
        if (_components.TryGetValue(name, out var component))
        {
            return component;
        }

        var near = Nearest.Of(name, _components.Keys);
        Error(Codes.TestComponent, place, $"{what}: there is no component \"{Redaction.Plain(name)}\"; {(near is null ? "" : $"did you mean \"{near}\"? ")}(components: {string.Join(", ", _components.Keys)})");
        return null;
    }

    private PortName Port(PortName asked, TestPlace place, string what)
    {
        if (Component(asked.Component, place, what) is not { } component)
        {
            return asked;
        }

        var ports = component.Ports.Select(p => p.Name).Distinct(StringComparer.Ordinal).ToList();
        if (asked.Port.Length == 0 && (component.Type is ComponentType.Source or ComponentType.ApiEndpoint || what == "expect") && ports.Contains("out", StringComparer.Ordinal))
        {
            return asked with { Port = "out" };
        }

        if (ports.Contains(asked.Port, StringComparer.Ordinal))
        {
            return asked;
        }

        var near = Nearest.Of(asked.Port, ports);
        Error(Codes.TestPort, place, $"{what}: component \"{component.Name}\" has no port \"{Redaction.Plain(asked.Port)}\"; {(near is null ? "" : $"did you mean \"{near}\"? ")}(ports: {string.Join(", ", ports)})");
        return asked;
    }

    private void Error(string code, TestPlace place, string message) => findings.Error(code, place.File, place.Line, place.Column, message);
}
