using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Loom.Load.Supervision;

/// <summary>One program to be kept running: all contenders run the same ones.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Script">Text for <c>/bin/sh -c</c>.</param>
internal sealed record Worker(string Name, string Script);

/// <summary>A process supervisor under test, driven by the commands its users type.</summary>
internal abstract class Contender(string folder)
{
    public abstract string Name { get; }

    /// <summary>What it says its version is.</summary>
    public abstract string Version { get; }

    protected string Folder { get; } = Directory.CreateDirectory(folder).FullName;

    /// <summary>Starts it in the background with these workers; may return before they run.</summary>
    public abstract void Up(IReadOnlyList<Worker> workers);

    /// <summary>Shows the state of all workers on stdout, as a user would ask for it.</summary>
    public abstract void Status();

    /// <summary>Stops it and everything under it; may return before that is done.</summary>
    public abstract void Down();

    /// <summary>Pids of its own processes, without the workers.</summary>
    public abstract IReadOnlyList<int> Own();

    /// <summary>File that holds what a worker wrote to stdout.</summary>
    public abstract string LogOf(string worker);

    /// <summary>Resident memory of its own processes, bytes.</summary>
    public long Resident() => Own().Sum(ResidentOf);

    /// <summary>Runs a command to its end.</summary>
    /// <returns>What it wrote to stdout.</returns>
    /// <exception cref="InvalidOperationException">It failed.</exception>
    protected string Command(string program, params string[] arguments) => Run(program, arguments, Folder, Environment);

    /// <summary>Variables of its commands.</summary>
    protected virtual (string Name, string Value)[] Environment => [];

    protected static bool Alive(int pid)
    {
        try
        {
            return !File.ReadAllText($"/proc/{pid}/stat").Contains(") Z ", StringComparison.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    internal static string Run(string program, string[] arguments, string folder, (string Name, string Value)[] environment)
    {
        var info = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment)
        {
            info.Environment[name] = value;
        }

        using var process = Process.Start(info)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? output
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {output}{error.GetAwaiter().GetResult()}");
    }

    private static long ResidentOf(int pid) => File.ReadLines($"/proc/{pid}/status")
        .Where(l => l.StartsWith("VmRSS:", StringComparison.Ordinal))
        .Sum(l => long.Parse(l.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024);
}

/// <summary>Loom, as <c>loom up -d</c> runs it.</summary>
internal sealed class LoomContender(string loom, string folder) : Contender(folder)
{
    public override string Name => "loom";

    public override string Version => Run(loom, ["version"], Folder, []).Split('\n')[0].Trim();

    public override void Up(IReadOnlyList<Worker> workers)
    {
        var toml = new StringBuilder();
        foreach (var worker in workers)
        {
            toml.AppendLine(CultureInfo.InvariantCulture, $"""
                [agents.{worker.Name}]
                command = ["/bin/sh", "-c", {JsonSerializer.Serialize(worker.Script)}]
                restart = {'{'} policy = "always", backoff = "0ms..0ms", storm = 10000 {'}'}
                log = {'{'} max = "1GB" {'}'}
                """);
        }

        File.WriteAllText(Path.Combine(Folder, "loom.toml"), toml.ToString());
        Command(loom, "up", "-d", "-q", "-C", Folder);
    }

    public override void Status() => Command(loom, "status", "-C", Folder);

    public override void Down() => Command(loom, "down", "-q", "-C", Folder);

    public override IReadOnlyList<int> Own()
    {
        using var state = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, ".loom", "run", "state.json")));
        return [.. new[] { "supervisor", "guardian" }.Select(p => state.RootElement.GetProperty(p).GetProperty("pid").GetInt32())];
    }

    public override string LogOf(string worker) => Path.Combine(Folder, ".loom", "logs", worker + ".log");
}

/// <summary>Debian's supervisor.</summary>
internal sealed class Supervisord(string folder) : Contender(folder)
{
    public override string Name => "supervisord";

    public override string Version => Run("supervisord", ["--version"], Folder, []).Trim();

    private string Config => Path.Combine(Folder, "supervisord.conf");

    public override void Up(IReadOnlyList<Worker> workers)
    {
        var conf = new StringBuilder($"""
            [unix_http_server]
            file={Folder}/s.sock
            [rpcinterface:supervisor]
            supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
            [supervisorctl]
            serverurl=unix://{Folder}/s.sock
            [supervisord]
            logfile={Folder}/supervisord.log
            pidfile={Folder}/supervisord.pid
            minfds=4096

            """);
        foreach (var worker in workers)
        {
            var script = Path.Combine(Folder, worker.Name + ".sh");
            File.WriteAllText(script, worker.Script + "\n");
            conf.AppendLine(CultureInfo.InvariantCulture, $"""
                [program:{worker.Name}]
                command=/bin/sh {script}
                startsecs=0
                autorestart=true
                stdout_logfile={LogOf(worker.Name)}
                stdout_logfile_maxbytes=1GB
                """);
        }

        File.WriteAllText(Config, conf.ToString());
        Command("supervisord", "-c", Config);
    }

    public override void Status() => Command("supervisorctl", "-c", Config, "status");

    public override void Down() => Command("supervisorctl", "-c", Config, "shutdown");

    public override IReadOnlyList<int> Own() =>
        [int.Parse(File.ReadAllText(Path.Combine(Folder, "supervisord.pid")), CultureInfo.InvariantCulture)];

    public override string LogOf(string worker) => Path.Combine(Folder, worker + ".out");
}

/// <summary>npm's pm2.</summary>
internal sealed class Pm2(string program, string folder) : Contender(folder)
{
    public override string Name => "pm2";

    // Read from its package: asked on the command line, it would start its daemon and leave it.
    public override string Version
    {
        get
        {
            using var package = JsonDocument.Parse(File.ReadAllText(Path.Combine(Path.GetDirectoryName(program)!, "..", "pm2", "package.json")));
            return package.RootElement.GetProperty("version").GetString()!;
        }
    }

    protected override (string Name, string Value)[] Environment => [("PM2_HOME", Path.Combine(Folder, "home"))];

    public override void Up(IReadOnlyList<Worker> workers)
    {
        var apps = workers.Select(w => new
        {
            name = w.Name,
            script = "/bin/sh",
            args = new[] { "-c", w.Script },
            interpreter = "none",
            min_uptime = 0,
            max_restarts = 1_000_000,
            out_file = LogOf(w.Name),
            error_file = LogOf(w.Name) + ".err",
        });
        var file = Path.Combine(Folder, "bench.config.js");
        File.WriteAllText(file, $"module.exports = {JsonSerializer.Serialize(new { apps })};\n");
        Command(program, "start", file, "--silent");
    }

    public override void Status() => Command(program, "list");

    public override void Down() => Command(program, "kill", "--silent");

    public override IReadOnlyList<int> Own() =>
        [int.Parse(File.ReadAllText(Path.Combine(Folder, "home", "pm2.pid")), CultureInfo.InvariantCulture)];

    public override string LogOf(string worker) => Path.Combine(Folder, worker + ".out");
}
