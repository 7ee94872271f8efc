using System.Collections.Immutable;

namespace Loom.Core.Settings;

/// <summary>All settings of the program, joined from the rooms. Immutable.</summary>
public sealed class SettingRegistry
{
    private readonly Node _root = new();
    private readonly Dictionary<string, Setting> _variables = new(StringComparer.Ordinal);

    /// <param name="settings">Every declared row; a key or a variable declared twice is a programming error.</param>
    /// <exception cref="ArgumentException">Two rows share a key or a variable.</exception>
    public SettingRegistry(ImmutableArray<Setting> settings)
    {
        All = settings;
        foreach (var setting in settings)
        {
            _root.Add(setting);
            foreach (var variable in setting.Variables)
            {
                if (!_variables.TryAdd(variable, setting))
                {
                    throw new ArgumentException($"variable {variable} belongs to '{_variables[variable].Key}' and to '{setting.Key}'", nameof(settings));
                }
            }
        }
    }

    /// <summary>Every row, in the order of declaration.</summary>
    public ImmutableArray<Setting> All { get; }

    /// <summary>The setting a variable sets, or null.</summary>
    public Setting? OfVariable(string name) => _variables.GetValueOrDefault(name);

    /// <summary>The setting at a concrete key, or null.</summary>
    public Setting? Find(ReadOnlySpan<string> parts) => _root.Find(parts)?.Setting;

    /// <summary>A place in the tree of keys.</summary>
    internal Node Root => _root;

    /// <summary>A table or a value in the tree of all keys.</summary>
    internal sealed class Node
    {
        public Dictionary<string, Node>? Children { get; private set; }

        public Node? Star { get; private set; }

        public Setting? Setting { get; private set; }

        public bool IsTable => Children is not null || Star is not null;

        public Node? Child(string name) => Children is not null && Children.TryGetValue(name, out var child) ? child : Star;

        public Node? Find(ReadOnlySpan<string> parts)
        {
            var node = this;
            foreach (var part in parts)
            {
                node = node?.Child(part);
            }

            return node;
        }

        public void Add(Setting setting)
        {
            var node = this;
            foreach (var part in setting.Segments)
            {
                if (part is "*")
                {
                    node = node.Star ??= new Node();
                    continue;
                }

                node.Children ??= new Dictionary<string, Node>(StringComparer.Ordinal);
                if (!node.Children.TryGetValue(part, out var child))
                {
                    node.Children[part] = child = new Node();
                }

                node = child;
            }

            if (node.Setting is not null)
            {
                throw new ArgumentException($"setting '{setting.Key}' is declared twice", nameof(setting));
            }

            node.Setting = setting;
        }
    }
}
