using System.Text.Json;
using Loom.Testing;
using Microsoft.Data.Sqlite;
using Shouldly;

namespace Loom.SystemTests.Harness.Samples;

/// <summary>A copy of one of the systems in <c>samples/pipeline</c>, without what runs have left in it, in a folder of its own.</summary>
public sealed class SampleSystem : IDisposable
{
    private readonly TempFolder _around = new();

    /// <param name="name">The sample.</param>
    public SampleSystem(string name)
    {
        Folder = _around[name];
        Copy(name, Folder);
    }

    /// <summary>Names of all samples.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. Directory.GetDirectories(Path.Combine(Repository.Root, "samples", "pipeline")).Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal)];

    public string Folder { get; }

    /// <summary>Path of a file in it.</summary>
    public string this[string name] => Path.Combine(Folder, name);

    /// <summary>Copies a sample.</summary>
    public static void Copy(string name, string to)
    {
        var from = Path.Combine(Repository.Root, "samples", "pipeline", name);
        foreach (var file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            var path = Path.GetRelativePath(from, file);
            if (path.Split('/')[0] is not (".loom" or "out"))
            {
                Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(to, path))!);
                File.Copy(file, Path.Combine(to, path));
            }
        }
    }

    /// <summary>Types <c>loom harness VERB SAMPLE ...</c> in the folder around it, as a user in a clone does.</summary>
    public Task<(int Exit, string Out, string Err)> RunAsync(string verb, params string[] arguments) =>
        RunningLoom.RunAsync(_around.Path, ["harness", verb, .. verb == "dead-letters" ? ["list"] : Array.Empty<string>(), Path.GetFileName(Folder), .. arguments]);

    /// <summary>Runs it to its end.</summary>
    /// <returns>What it says of itself at the end.</returns>
    public async Task<JsonElement> RunToEndAsync(params string[] arguments)
    {
        var (exit, output, error) = await RunAsync("run", ["--port", "0", "--json", .. arguments]);
        exit.ShouldBe(0, output + error);
        return JsonElement.Parse(output);
    }

    /// <summary>Events a component has taken, by the report of a run.</summary>
    public static long Taken(JsonElement report, string component) =>
        report.GetProperty("components").EnumerateArray().Single(c => c.GetProperty("name").GetString() == component).GetProperty("taken").GetInt64();

    /// <summary>Rows of a query over one of its databases, columns joined by |.</summary>
    public IReadOnlyList<string> Rows(string database, string query) => RowsOf(this[database], query);

    /// <summary>The same over any database.</summary>
    public static List<string> RowsOf(string database, string query)
    {
        using var connection = new SqliteConnection($"Data Source={database};Mode=ReadOnly;Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = query;
        using var reader = command.ExecuteReader();
        var rows = new List<string>();
        while (reader.Read())
        {
            rows.Add(string.Join('|', Enumerable.Range(0, reader.FieldCount).Select(i => reader.GetValue(i))));
        }

        return rows;
    }

    public void Dispose() => _around.Dispose();
}
