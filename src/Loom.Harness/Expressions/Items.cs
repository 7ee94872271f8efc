using System.Text.Json;

namespace Loom.Harness.Expressions;

/// <summary>Goes through a list (its members) or a map (its names and members) whatever it is made of.</summary>
internal struct Items
{
    private readonly Value[]? _list;
    private readonly ValueMap? _map;
    private readonly bool _isMap;
    private JsonElement.ArrayEnumerator _array;
    private JsonElement.ObjectEnumerator _object;
    private readonly IEnumerator<KeyValuePair<string, string>>? _names;
    private int _index = -1;

    public Items(in Value value)
    {
        _isMap = value.Kind == Kind.Map;
        switch (value.Content)
        {
            case Value[] list:
                _list = list;
                break;
            case ValueMap map:
                _map = map;
                break;
            case IReadOnlyDictionary<string, string> names:
                _names = names.GetEnumerator();
                break;
            case null when _isMap:
                _object = value.Json.EnumerateObject();
                break;
            default:
                _array = value.Json.EnumerateArray();
                break;
        }
    }

    /// <summary>What a loop runs over: the members of a list, the names of a map.</summary>
    public readonly Value Current => _isMap ? Value.Of(Name) : _list is not null ? _list[_index] : Value.Of(_array.Current);

    /// <summary>The name of a map's member.</summary>
    public readonly string Name => _map is not null ? _map.NameAt(_index) : _names is not null ? _names.Current.Key : _object.Current.Name;

    /// <summary>A map's member.</summary>
    public readonly Value Member =>
        _map is not null ? _map.ValueAt(_index) : _names is not null ? Value.Of(_names.Current.Value) : Value.Of(_object.Current.Value);

    public bool MoveNext()
    {
        _index++;
        if (_list is not null)
        {
            return _index < _list.Length;
        }

        if (_map is not null)
        {
            return _index < _map.Count;
        }

        return _names is not null ? _names.MoveNext() : _isMap ? _object.MoveNext() : _array.MoveNext();
    }
}
