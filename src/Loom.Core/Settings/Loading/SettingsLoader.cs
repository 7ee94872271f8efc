using System.Collections.Immutable;
using System.Text;
using Loom.Core.Toml;

namespace Loom.Core.Settings;

/// <summary>
/// Loads the configuration: gathers what every layer gives, judges all of it, and freezes the result. Pure: everything it depends on is in the request,
/// and all faults come back in one list.
/// </summary>
public static class SettingsLoader
{
    /// <summary>Name of the project file.</summary>
    public const string FileName = "loom.toml";

    /// <summary>Loads once. Never throws for what users can get wrong.</summary>
    public static LoadResult Load(LoadRequest request)
    {
        var faults = new FaultList();
        var folder = ProjectFolder(request, faults);
        var project = ReadProject(request, folder, faults, out var fileFailed);

        var environment = new EnvironmentReading(request, faults);
        var (envFiles, listedAt) = EnvFiles(request, folder, project);
        var variables = environment.Read(envFiles, listedAt);
        fileFailed |= environment.FileFailed;

        var given = new GivenValues(request, folder, faults);
        given.AddCommandLine();
        given.AddVariables(variables);
        var walk = project is null ? null : new ProjectFileWalk(project, request.Registry, folder, name => variables.GetValueOrDefault(name)?.Text, faults);
        walk?.Run();
        given.AddFile(walk?.Values ?? []);

        var (profile, reason) = Profile(request, given);
        var freezing = new Freezing(request.Registry, new DefaultWorld(profile, request.TestMode, new ParseContext(folder, request.HomeFolder), request.Files.Exists));
        Settle(given, walk, freezing);
        freezing.Give(SharedSettings.ProjectDir, SharedSettings.ProjectDir.Segments.AsSpan(), folder, given.Winner(SharedSettings.ProjectDir.Key)?.Source ?? new SettingSource(SettingLayer.Derived));
        var draft = new Draft(request, given, freezing, faults) { Profile = profile, ProfileReason = reason };
        if (profile == SettingsProfile.Cloud)
        {
            draft.Derive("serving.cloud_profile", true);
        }

        TokenFromFile(draft, given, faults);
        foreach (var derive in request.Derivations)
        {
            derive(draft);
        }

        var snapshot = freezing.Freeze(request.TrackReads);
        snapshot.Environment = variables.ToImmutableDictionary(v => v.Key, v => v.Value.Text, StringComparer.Ordinal);
        snapshot.EnvFileVariables = environment.OfFiles;
        draft.Settle(snapshot, walk?.Tables ?? []);
        if (!fileFailed)
        {
            Required(request, draft, walk, faults);
            foreach (var rule in request.CrossRules)
            {
                rule(draft);
            }
        }

        UnknownVariables.Tell(request, variables, walk?.References ?? [], faults);
        return new LoadResult
        {
            Snapshot = snapshot,
            Faults = faults.Sorted(),
            Notes = [.. given.Notes],
            HasProjectFile = project is not null || fileFailed,
            Given = given.ByKey,
            Variables = variables,
        };
    }

    // `--project`, else LOOM_PROJECT, else the nearest folder upwards with a loom.toml, else the working folder.
    private static string ProjectFolder(LoadRequest request, FaultList faults)
    {
        string? named = null;
        var source = SettingSource.Default;
        foreach (var item in request.CommandLine)
        {
            if (string.Equals(item.Key, SharedSettings.ProjectDir.Key, StringComparison.Ordinal))
            {
                (named, source) = (item.Value, new SettingSource(SettingLayer.CommandLine, item.Option));
            }
        }

        if (named is null && request.Environment.TryGetValue(SharedSettings.ProjectDir.Variables[0], out var variable))
        {
            (named, source) = (variable, new SettingSource(SettingLayer.Environment, SharedSettings.ProjectDir.Variables[0]));
        }

        if (!string.IsNullOrWhiteSpace(named))
        {
            var folder = PathText.Full(named.Trim(), new ParseContext(request.WorkingFolder, request.HomeFolder));
            if (!request.Files.Exists(folder))
            {
                faults.Add(new Fault
                {
                    Severity = FaultSeverity.Error,
                    Code = FaultCode.File,
                    Key = SharedSettings.ProjectDir.Key,
                    Variable = source.Name,
                    Value = Redaction.Plain(named),
                    Source = source,
                    Message = $"there is no folder {folder}",
                    Fix = "loom init, or name the folder that holds loom.toml",
                });
            }

            return folder;
        }

        for (var folder = request.WorkingFolder; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (request.Files.Exists(Path.Combine(folder, FileName)))
            {
                return folder;
            }
        }

        return request.WorkingFolder;
    }

    private static ProjectFile? ReadProject(LoadRequest request, string folder, FaultList faults, out bool failed)
    {
        failed = false;
        var path = Path.Combine(folder, FileName);
        var shown = ShownPath.Of(path, request.WorkingFolder);
        if (request.Files.Read(path) is not { } file)
        {
            return null;
        }

        if (file.Error is not null)
        {
            failed = true;
            faults.Add(new Fault { Severity = FaultSeverity.Error, Code = FaultCode.File, Source = new SettingSource(SettingLayer.File, null, shown, 1, 1), Message = file.Error, FileOrder = 0 });
            return null;
        }

        try
        {
            return new ProjectFile(TomlParser.Parse(file.Content.Span), shown);
        }
        catch (TomlException e)
        {
            failed = true;
            faults.Add(new Fault
            {
                Severity = FaultSeverity.Error,
                Code = FaultCode.Syntax,
                Source = new SettingSource(SettingLayer.File, null, shown, e.Position.Line, e.Position.Column),
                Message = e.Message,
                Line = ProjectFile.ShownBroken(e.SourceLine),
                Caret = e.Position.Column,
                Length = e.Length,
                FileOrder = 0,
            });
            return null;
        }
    }

    // Needed before references can be followed, so it is settled ahead of the rest, from the environment alone.
    private static (IReadOnlyList<string> Files, GivenValue? ListedAt) EnvFiles(LoadRequest request, string folder, ProjectFile? project)
    {
        var setting = SharedSettings.EnvFile;
        var context = new ParseContext(folder, request.HomeFolder);
        for (var i = request.CommandLine.Length - 1; i >= 0; i--)
        {
            var item = request.CommandLine[i];
            if (string.Equals(item.Key, setting.Key, StringComparison.Ordinal) && Read(RawValue.Of(item.Value), new SettingSource(SettingLayer.CommandLine, item.Option), null) is { } fromLine)
            {
                return fromLine;
            }
        }

        var name = setting.Variables[0];
        if (request.Environment.TryGetValue(name, out var text) && Read(RawValue.Of(text), new SettingSource(SettingLayer.Environment, name), null) is { } fromVariable)
        {
            return fromVariable;
        }

        if (project is not null)
        {
            var walk = new ProjectFileWalk(project, request.Registry, folder, request.Environment.GetValueOrDefault, new FaultList());
            if (walk.Only(setting) is { } value && Read(value.Raw, value.Source, value.Place) is { } fromFile)
            {
                return fromFile;
            }
        }

        return ([Path.Combine(folder, ".env")], null);

        (IReadOnlyList<string>, GivenValue?)? Read(RawValue raw, SettingSource source, FilePlace? place) =>
            setting.Parse(raw, context).Value is System.Collections.Immutable.ImmutableArray<string> files
                ? (files, new GivenValue(setting, [.. setting.Segments], raw, source, files, null, false, place))
                : null;
    }

    private static (SettingsProfile Profile, string? Reason) Profile(LoadRequest request, GivenValues given)
    {
        if (given.Winner("serving.cloud_profile") is { } chosen)
        {
            return chosen.Value is true ? (SettingsProfile.Cloud, $"{chosen.Source.Name}={chosen.Raw} ({Faults.Where(chosen.Source)})") : (SettingsProfile.Home, null);
        }

        // The worker example of seeds/001 names no profile and must register all the same.
        return request.Part == LoomPart.PoolManagerd && given.Winner("serving.node.control_plane_url") is { } url
            ? (SettingsProfile.Cloud, $"{url.Source.Name} is set ({Faults.Where(url.Source)})")
            : (SettingsProfile.Home, null);
    }

    private static void Settle(GivenValues given, ProjectFileWalk? walk, Freezing freezing)
    {
        foreach (var (table, name, _) in walk?.Tables ?? [])
        {
            freezing.NoteName(table, name);
        }

        foreach (var (key, values) in given.ByKey)
        {
            if (given.Winner(key) is { } winner)
            {
                freezing.Give(winner.Setting, winner.Parts, winner.Value, winner.Source, winner.Referred);
            }
            else
            {
                // Also a value at fault shows that its table exists.
                freezing.NoteNames(values[0].Setting, values[0].Parts);
            }
        }
    }

    private static void TokenFromFile(Draft draft, GivenValues given, FaultList faults)
    {
        if (given.Winner(SharedSettings.TokenFile.Key) is not { } named || draft.IsGiven(SharedSettings.Token.Key) || draft.IsAtFault(SharedSettings.Token.Key))
        {
            return;
        }

        var path = (string)named.Value!;
        var file = draft.Request.Files.Read(path);
        if (file is null or { Error: not null })
        {
            faults.Add(Faults.Of(named, FaultCode.File, file?.Error ?? $"there is no file {path}", null));
            return;
        }

        var first = Encoding.UTF8.GetString(file.Content.Span).Split('\n')[0].TrimEnd('\r');
        var judgement = SharedSettings.Token.Parse(RawValue.Of(first), default);
        if (judgement.Ok)
        {
            draft.Derive(SharedSettings.Token.Key, judgement.Value!);
        }
        else
        {
            faults.Add(Faults.Of(named, judgement.Code, "its first line is no token: " + judgement.Message, null));
        }
    }

    // A key that must be given once its table exists.
    private static void Required(LoadRequest request, Draft draft, ProjectFileWalk? walk, FaultList faults)
    {
        foreach (var setting in request.Registry.All)
        {
            var star = setting.IsRequired ? setting.Segments.IndexOf("*") : -1;
            if (star < 0)
            {
                continue;
            }

            var table = setting.Segments.AsSpan()[..star].ToArray();
            foreach (var name in draft.Names(KeyText.Join(table)))
            {
                var key = KeyText.Fill(setting, [name]);
                if (draft.IsGiven(key) || draft.IsAtFault(key))
                {
                    continue;
                }

                var place = walk?.Tables.Find(t => string.Equals(t.Name, name, StringComparison.Ordinal) && t.Table.AsSpan().SequenceEqual(table)).Place;
                var message = $"'{setting.Segments[^1]}' is missing in {KeyText.Join([.. table, name])}";
                var fix = setting.Kind == SettingKind.Enum ? $"{setting.Segments[^1]} = one of {setting.Allowed.Replace(";", ", ", StringComparison.Ordinal)}" : $"{setting.Segments[^1]} = ...";
                faults.Add(place is null
                    ? new Fault { Severity = FaultSeverity.Error, Code = FaultCode.Missing, Key = key, Message = message, Fix = fix }
                    : Faults.At(place, FaultCode.Missing, key, message, fix));
            }
        }
    }
}
