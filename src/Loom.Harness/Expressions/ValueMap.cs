namespace Loom.Harness.Expressions;

/// <summary>A map an expression has built: fields in the order they were written. Small, so it is searched from end to end.</summary>
internal sealed class ValueMap(int capacity)
{
    private readonly string[] _names = new string[capacity];
    private readonly Value[] _values = new Value[capacity];

    public int Count { get; private set; }

    public string NameAt(int index) => _names[index];

    public Value ValueAt(int index) => _values[index];

    /// <returns>False when the name is taken.</returns>
    public bool TryAdd(string name, in Value value)
    {
        if (Array.IndexOf(_names, name, 0, Count) >= 0)
        {
            return false;
        }

        _names[Count] = name;
        _values[Count++] = value;
        return true;
    }

    public bool TryGet(string name, out Value value)
    {
        var index = Array.IndexOf(_names, name, 0, Count);
        value = index < 0 ? default : _values[index];
        return index >= 0;
    }
}
