namespace Loom.Harness.Schemas;

/// <summary>What faults say, the same whichever way a payload was checked.</summary>
internal static class SchemaText
{
    private static readonly (SchemaTypes Type, string Name)[] s_names =
    [
        (SchemaTypes.Null, "null"), (SchemaTypes.Boolean, "a boolean"), (SchemaTypes.Number, "a number"), (SchemaTypes.Integer, "an integer"),
        (SchemaTypes.String, "a string"), (SchemaTypes.Array, "an array"), (SchemaTypes.Object, "an object"),
    ];

    public static string Of(SchemaTypes types)
    {
        types = (types & SchemaTypes.Number) != 0 ? types & ~SchemaTypes.Integer : types;
        return string.Join(" or ", s_names.Where(n => (types & n.Type) != 0).Select(n => n.Name));
    }

    public static string Outside(string what, int found, int least, int most) => found < least
        ? $"must have at least {least} {what}, not {found}"
        : $"must have at most {most} {what}, not {found}";
}
