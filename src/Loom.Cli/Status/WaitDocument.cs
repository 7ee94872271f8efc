using System.Text;
using System.Text.Json;

namespace Loom.Cli.Status;

/// <summary>The document of verbs that bring processes somewhere and wait for it, schema 1: what was done, and how they are now.</summary>
internal static class WaitDocument
{
    /// <summary>Writes it.</summary>
    /// <param name="did"><c>wait</c>, <c>start</c>, <c>stop</c> or <c>restart</c>.</param>
    /// <param name="goal"><c>ready</c>, <c>ended</c>, or null when nothing was waited for.</param>
    /// <param name="took">How long it took.</param>
    /// <param name="items">What it was done to.</param>
    public static string Write(string did, string? goal, TimeSpan took, IReadOnlyList<WaitItem> items)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteNumber("schema", 1);
            json.WriteString("did", did);
            if (goal is not null)
            {
                json.WriteString("for", goal);
            }

            json.WriteNumber("took_ms", (long)took.TotalMilliseconds);
            json.WriteStartArray("processes");
            foreach (var item in items)
            {
                json.WriteStartObject();
                json.WriteString("name", item.Name);
                json.WriteString("kind", item.Kind);
                json.WriteString("state", item.State);
                if (item.Why is not null)
                {
                    json.WriteString("reason", item.Why);
                }

                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length);
    }
}
