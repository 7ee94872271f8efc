using System.CommandLine;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary><c>loom completion SHELL</c>: a script that asks loom itself, so it never goes stale.</summary>
public static class CompletionVerb
{
    private static readonly Argument<string> s_shell = new("SHELL") { Description = "bash, zsh, fish or pwsh" };

    public static Command Create()
    {
        s_shell.AcceptOnlyFromAmong("bash", "zsh", "fish", "pwsh");
        var command = Verb.Create(
            "completion",
            "Print a completion script for a shell",
            ["loom completion bash > ~/.local/share/bash-completion/completions/loom", "source <(loom completion zsh)", "loom completion fish > ~/.config/fish/completions/loom.fish"],
            (context, parse, _) =>
            {
                context.Terminal.Out.Write(Script(parse.GetValue(s_shell)!));
                return Task.FromResult(ExitCode.Ok);
            });
        command.Arguments.Add(s_shell);
        return command;
    }

    private static string Script(string shell) => shell switch
    {
        "bash" => """
            _loom() {
                local IFS=$'\n'
                COMPREPLY=($(compgen -W "$(loom "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
                COMPREPLY=("${COMPREPLY[@]// /\\ }")
            }
            complete -o default -F _loom loom

            """,
        "zsh" => """
            #compdef loom
            _loom() {
                local -a words_
                words_=("${(@f)$(loom "[suggest:${CURSOR}]" "${BUFFER}" 2>/dev/null)}")
                compadd -a words_
            }
            compdef _loom loom

            """,
        "fish" => """
            complete -c loom -a '(loom "[suggest:"(commandline -C)"]" (commandline -p) 2>/dev/null)'

            """,
        _ => """
            Register-ArgumentCompleter -Native -CommandName loom -ScriptBlock {
                param($word, $ast, $position)
                loom "[suggest:$position]" "$ast" 2>$null | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_) }
            }

            """,
    };
}
