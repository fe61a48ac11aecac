#!/usr/bin/env python3
"""The commands of README, CONTRIBUTING.md and docs/: every one is run, or listed in docs/commands.toml with the reason
why not.

    scripts/doc-commands.py check           each is one or the other, and each rule is of use (part of lint)
    scripts/doc-commands.py list [PAGE…]    what becomes of each
    scripts/doc-commands.py script [PAGE…]  prints a script for bash that runs those that can be run; a folder stands
                                            for its pages. scripts/try-docs.sh runs it in a bare Debian

A command is a statement of a fenced block of `sh` or `console`: a line with what continues it, a loop, a function.
In a block that has lines beginning with "$ ", those are the commands and the others are what they print.
"""

import fnmatch
import functools
import pathlib
import re
import shlex
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
RULES = ROOT / "docs/commands.toml"
# What a bare Debian has once `make run` has been there, with what bash brings.
PROGRAMS = {
    "podsense", "build/release/podsense", "make", "git", "curl", "openssl", "python3", "apt-get", "localedef", "taskset",
    "cp", "cut", "cd", "printf", "grep", "sed", "sha256sum", "source", "eval", "export", "fault", "fault()", "for", "kill", "bash",
}  # fmt: skip
# Of a reader's own world: nobody can run these words as they stand.
PLACEHOLDER = re.compile(r"…|\b(?:NAMESPACE|NAME|POD|HOST|ADDRESS|REGISTRY|PROJECT_ID|ACCOUNT|YOUR-\w+)\b")


class Command:
    def __init__(self, page, line, text):
        self.page, self.line, self.text = page, line, text

    def __str__(self):
        return f"{self.page}:{self.line}: {self.text.splitlines()[0]}"


def pages():
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in found if not path.is_symlink()]


def is_whole(text):
    """Whether bash would run it, rather than wait for more lines."""
    if re.search(r"\\$", text):
        return False
    done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "here-document" not in done.stderr


def statements(block):
    """(number of its first line, text) of each statement."""
    if re.search(r"^\$ ", block, re.M):  # a session
        lines = [line[2:] if line.startswith("$ ") else None for line in block.splitlines()]
    else:
        lines = block.splitlines()
    begin, kept = 0, []
    for number, line in enumerate(lines):
        if line is None or (not kept and (not line.strip() or line.strip().startswith("#"))):
            continue
        begin = begin if kept else number
        kept.append(line)
        if is_whole("\n".join(kept)):
            yield begin, "\n".join(kept)
            kept = []
    if kept:
        yield begin, "\n".join(kept)


@functools.cache
def commands():
    found = []
    for page in pages():
        text = page.read_text("utf-8")
        for block in re.finditer(r"^( *)```(?:sh|console|bash|shell)\n(.*?)^ *```", text, re.M | re.S):
            first = text[: block.start(2)].count("\n") + 1
            body = re.sub(rf"^{block[1]}", "", block[2], flags=re.M)
            name = str(page.relative_to(ROOT))
            found += [Command(name, first + number, statement) for number, statement in statements(body)]
    return found


def rule_of(command, rules):
    """The first that is of this page, where it names one, and of this command."""
    for rule in rules["rule"]:
        if fnmatch.fnmatch(command.page, rule.get("page", "*")) and fnmatch.fnmatch(command.text, rule.get("command", "*")):
            return rule
    return {}


def written_out(command, rules):
    """The command as it is run: shorter, and with figures for dots."""
    text = command.text
    for change in rules["replace"]:
        text = re.sub(change["pattern"], change["with"], text)
    return text


def programs(text):
    """The first word of each part of a command, as far as one can tell without a shell."""
    text = re.sub(r"\\\n\s*", " ", re.sub(r"(?s)<<'?(\w+)'?\n.*?\n\1\s*$", "", text))
    text = re.sub(r"(?m)(^|\s)#.*$", " ", re.sub(r"'[^']*'|\"[^\"$]*\"", "''", text))
    for part in re.split(r"\|\|?|&&?|;|\n|\$\(|<\(|\{ ", text):
        try:
            words = shlex.split(part.strip().lstrip("("), comments=True)
        except ValueError:
            words = part.split()
        while words and (re.fullmatch(r"\w+=.*|do|done|then|fi|\}|\)|--", words[0])):
            words = words[1:]
        if words:
            yield words[0]


def faults(rules):
    """What is neither run nor listed, and rules without use or reason."""
    used = []
    for command in commands():
        rule = rule_of(command, rules)
        used.append(id(rule))
        if "skip" in rule:
            continue
        text = written_out(command, rules)
        if found := PLACEHOLDER.search(text):
            yield f"{command}: '{found[0]}' cannot be run as it stands: list it in {RULES.relative_to(ROOT)}"
        if not is_whole(text):
            yield f"{command}: no whole command"
        for program in programs(text):
            if program not in PROGRAMS and not re.match(r"\.?/?scripts/|\./", program):
                yield f"{command}: a bare Debian has no {program}: list it in {RULES.relative_to(ROOT)}"
    for rule in rules["rule"]:
        if id(rule) not in used:
            yield f"{RULES.relative_to(ROOT)}: no command of {rule.get('page', 'any page')} is '{rule.get('command', '*')}'"
        if len(rule.get("skip", "a reason")) < 8:
            yield f"{RULES.relative_to(ROOT)}: no reason for '{rule.get('command', '*')}'"


HEAD = r"""#!/usr/bin/env bash
# Made by scripts/doc-commands.py. Runs in the root of the source tree; needs nothing else.
set -u
export repository=$PWD LC_ALL=C.UTF-8 PATH=$PWD/build/release:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=() good=0
cat >"$work/head.sh" <<'HEAD'
set -e -m -o pipefail
servers=()
stop_servers() {
  for process in "${servers[@]}"; do kill -TERM -- "-$process" 2>/dev/null || true; done
  for process in "${servers[@]}"; do wait "$process" 2>/dev/null || true; done
  servers=()
}
trap stop_servers EXIT
told() { printf '\n%s  $ %s\n' "$page" "$1"; }
curl() { command curl --fail-with-body --no-progress-meter "$@"; }
# Until it answers; a server that has ended is a fault.
answers() { # URL PROCESS LOG
  until command curl -fsk -o /dev/null "$1" 2>/dev/null; do
    kill -0 "$2" 2>/dev/null || { echo "it ended before $1 answered:"; tail -n 20 "$3"; exit 1; }
    sleep 0.5
  done
}
# Ends with one of these codes.
ends_with() { local code=$?; for one in "$@"; do [ "$code" != "$one" ] || return 0; done; echo "exit code $code"; exit 1; }
fixtures() {
""" # fmt: skip

MIDDLE = r"""}
HEAD
# Each page has a loopback of its own: no port is taken, and nobody else's server answers.
loopback='import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 0x49))'
alone=(unshare --net)
"${alone[@]}" true 2>/dev/null || alone+=(--user --map-root-user)
run_page() { # PAGE FOLDER
  mkdir -p "$work/page"
  if page=$1 timeout -k 30 "${PAGE_LIMIT:-3600}" "${alone[@]}" bash -c \
    'python3 -c "$2" && . "$0/head.sh" && cd "$1" && . "$0/page.sh"' "$work" "$2" "$loopback" </dev/null; then
    good=$((good + 1))
    printf '\n=== %s: ok\n' "$1"
  else
    failed+=("$1")
    printf '\n=== %s: FAILED\n' "$1"
  fi
  rm -rf "$work/page"
}
"""


def run_text(command, rules):
    """The lines of the script for one command."""
    rule, text = rule_of(command, rules), written_out(command, rules)
    out = [f"told {shlex.quote(text.splitlines()[0])}"]
    if "before" in rule:
        out.append(rule["before"].strip())
    of_the_tree = re.search(r"(^|[ =$(])(make|scripts/|build/|examples/|\./)", text)
    at_home = rule.get("in", "repository" if of_the_tree else "page") == "repository"
    if at_home:
        out.append('here=$PWD; cd "$repository"')
    if "background" in rule:
        out += ["stop_servers", 'log=$(mktemp -p "$0")', f"( {text}\n) >$log 2>&1 &",
                "servers+=($!)", f"answers {shlex.quote(rule['background'])} $! $log"]
    elif "exit" in rule:
        codes = " ".join(str(code) for code in rule["exit"])
        out += ["set +e", text, f"ends_with {codes}", "set -e"]
    else:
        out.append(text)
    if at_home:
        out.append('cd "$here"')
    return "\n".join(out)


def script(names, rules):
    chosen = [command for command in commands() if "skip" not in rule_of(command, rules)
              and (not names or any(command.page == name or command.page.startswith(name.rstrip("/") + "/") for name in names))]
    out = [HEAD + rules["fixtures"].strip() + "\n" + MIDDLE]
    out.append(rules.get("first", "") and f"({rules['first'].strip()}) || {{ echo '=== what comes first: FAILED'; exit 1; }}")
    for page in dict.fromkeys(command.page for command in chosen):
        out.append('cat >"$work/page.sh" <<\'PAGE-ENDS\'\nfixtures')
        out.append(rules.get("before", {}).get(page, "").strip())
        out += [run_text(command, rules) for command in chosen if command.page == page]
        out.append(f"PAGE-ENDS\nrun_page {shlex.quote(page)} \"$work/page\"")
    out.append('echo "=== $good pages ran, ${#failed[@]} failed: ${failed[*]-}"\n[ ${#failed[@]} = 0 ]')
    return "\n".join(out) + "\n"


def main(arguments):
    rules = tomllib.loads(RULES.read_text("utf-8"))
    what, names = (arguments[0], arguments[1:]) if arguments else ("", [])
    if what == "check":
        found = list(faults(rules))
        print("\n".join(found) or f"{len(commands())} commands: "
              f"{sum('skip' in rule_of(one, rules) for one in commands())} are listed as not run")
        return 1 if found else 0
    if what == "list":
        for command in commands():
            if not names or command.page in names:
                print(f"{command}\n    {rule_of(command, rules).get('skip', 'is run')}")
        return 0
    if what == "script":
        print(script(names, rules), end="")
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
