"""``completion``: shell completion, written from the parser itself, so that it knows every command and flag."""

from __future__ import annotations

import argparse
from typing import Any

SHELLS = ("bash", "zsh", "fish")
_BASH = """\
# sakerepro completion bash > ~/.local/share/bash-completion/completions/sakerepro
_sakerepro() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} command="" word
    for word in "${{COMP_WORDS[@]:1:$((COMP_CWORD-1))}}"; do
        case "$command $word" in
{steps}
        esac
    done
    COMPREPLY=()
    case "$command $previous" in
{values}
    esac
    case "$command" in
{words}
    esac
}}
complete -o default -o bashdefault -F _sakerepro sakerepro
"""
_ZSH = """\
#compdef sakerepro
# sakerepro completion zsh > "${fpath[1]}/_sakerepro"; or: source <(sakerepro completion zsh)
autoload -U +X compinit bashcompinit
(( $+functions[compdef] )) || compinit
bashcompinit
"""


def add(commands: Any) -> None:
    """Register the command of this module."""
    parser = commands.add_parser(
        "completion", help="print shell completion for bash, zsh or fish",
        description="bash: source <(sakerepro completion bash); zsh: source <(sakerepro completion zsh); "
        "fish: sakerepro completion fish | source. Put the line into the shell's start-up file to keep it.",
    )  # fmt: skip
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(function=_completion)


def _completion(arguments: argparse.Namespace) -> None:
    from ..__main__ import parser

    print(script(parser(), arguments.shell), end="")


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completion script of a shell."""
    tree = command_tree(parser)
    if shell == "fish":
        return _fish(tree)
    bash = _bash(tree)
    return bash if shell == "bash" else _ZSH + bash


Tree = dict[tuple[str, ...], argparse.ArgumentParser]  # ("data", "fetch") -> its parser


def command_tree(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Tree:
    """Every command with its parser, the whole command line under ``()`` first."""
    tree = {path: parser}
    for name, inner in inner_parsers(parser).items():
        tree |= command_tree(inner, (*path, name))
    return tree


def inner_parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The sub-commands of a parser by name."""
    found = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(found[0].choices) if found else {}


def inner_helps(parser: argparse.ArgumentParser) -> dict[str, str]:
    """The short help of each sub-command of a parser."""
    return {a.dest: a.help or "" for s in parser._actions if isinstance(s, argparse._SubParsersAction)
            for a in s._choices_actions}  # fmt: skip


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """What can stand next: commands, values of a positional with choices, flags."""
    positional = [str(c) for a in parser._actions if not a.option_strings and a.choices and not inner_parsers(parser)
                  for c in a.choices]  # fmt: skip
    return [*inner_parsers(parser), *positional, *(o for a in parser._actions for o in a.option_strings)]


def _valued(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [a for a in parser._actions if a.option_strings and a.nargs != 0]


def _bash(tree: Tree) -> str:
    steps, values, words = [], [], []
    for path, parser in tree.items():
        name = "".join(f" {p}" for p in path)
        steps += [f'            "{name} {c}") command="{name} {c}" ;;' for c in inner_parsers(parser)]
        for action in _valued(parser):
            when = "|".join(f'"{name} {o}"' for o in action.option_strings)
            choices = " ".join(map(str, action.choices or ()))
            reply = f'COMPREPLY=($(compgen -W "{choices}" -- "$current")); ' if choices else ""
            values.append(f"        {when}) {reply}return ;;")
        words.append(f'        "{name}") COMPREPLY=($(compgen -W "{" ".join(_words(parser))}" -- "$current")) ;;')
    return _BASH.format(steps="\n".join(steps), values="\n".join(values), words="\n".join(words))


def _fish(tree: Tree) -> str:
    lines = ["# sakerepro completion fish > ~/.config/fish/completions/sakerepro.fish"]
    for path, parser in tree.items():
        seen = "; and ".join(f"__fish_seen_subcommand_from {p}" for p in path) or "__fish_use_subcommand"
        inner = inner_parsers(parser)
        before = f"{seen}; and not __fish_seen_subcommand_from {' '.join(inner)}" if inner and path else seen
        helps = inner_helps(parser)
        for name in inner:
            lines.append(f"complete -c sakerepro -f -n {_quoted(before)} -a {name} -d {_quoted(helps.get(name, ''))}")
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                continue
            text = f"complete -c sakerepro -n {_quoted(seen)}"
            for option in action.option_strings:
                text += f" -l {option[2:]}" if option.startswith("--") else f" -s {option[1:]}"
            if action.choices:
                text += f" {'-x ' if action.option_strings else '-f '}-a {_quoted(' '.join(map(str, action.choices)))}"
            elif action.option_strings and action.nargs != 0:
                text += " -r"
            if action.option_strings or action.choices:
                lines.append(f"{text} -d {_quoted((action.help or '').replace('%%', '%'))}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
