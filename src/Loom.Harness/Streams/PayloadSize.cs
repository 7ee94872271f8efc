using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Loom.Harness.Streams;

/// <summary>Bytes of a payload, for the kinds whose size is known without walking them.</summary>
internal static class PayloadSize<T>
{
    public static bool IsKnown { get; } =
        typeof(T) == typeof(JsonElement) || typeof(T) == typeof(string) || typeof(T) == typeof(byte[]) || typeof(T) == typeof(ReadOnlyMemory<byte>);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Of(T data)
    {
        if (typeof(T) == typeof(JsonElement))
        {
            var element = Unsafe.As<T, JsonElement>(ref data);
            return element.ValueKind == JsonValueKind.Undefined ? 0 : JsonMarshal.GetRawUtf8Value(element).Length;
        }

        if (typeof(T) == typeof(string))
        {
            return Unsafe.As<T, string?>(ref data) is { } text ? text.Length * 2L : 0;
        }

        if (typeof(T) == typeof(byte[]))
        {
            return Unsafe.As<T, byte[]?>(ref data)?.Length ?? 0;
        }

        return typeof(T) == typeof(ReadOnlyMemory<byte>) ? Unsafe.As<T, ReadOnlyMemory<byte>>(ref data).Length : 0;
    }
}
