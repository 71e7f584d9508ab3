"""A value that is quoted for its place reaches the command as it is, and is never run.

The shells here are the real ones of the machine: ``/bin/sh`` and, where there is one, ``bash``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deployengine.domain.shell_quoting import MARK, Kind, interpreter, places, quote

SHELLS = ["/bin/sh", *filter(None, [shutil.which("bash")])]

#: Each prints the value between two markers; M stands for the reference.
CONTEXTS = {
    "bare": "printf '<%s>' M",
    "bare, right before a redirection": "printf '<%s>' M>&1",
    "bare, at the head of a word": "printf '<%s>' M''",
    "assignment": 'v=M; printf "<%s>" "$v"',
    "after a comment": "# it's \"$(a comment\nprintf '<%s>' M",
    "after a line continuation": "printf \\\n'<%s>' \\\nM",
    "in double quotes": 'printf "<%s>" "M"',
    "in double quotes, after a doubled backslash": ('v="\\\\M"; printf "<%s>" "${v#?}"'),
    "in double quotes, after a parameter in braces": 'e=; printf "<%s>" "${e}M"',
    "in single quotes": "printf '<%s>' 'M'",
    "in single quotes, inside a word": "printf '<%s>' ''\"\"'M'",
    "in $( )": "printf '<%s>' \"$(printf %s M; printf x)\" | sed '$s/x>$/>/'",
    "in $( ) within double quotes within $( )": (
        'printf "<%s>" "$(printf %s "$(printf %s "M"; printf x)")" | sed \'$s/x>$/>/\''
    ),
    "in $( ) with a subshell": "printf '<%s>' \"$( (printf %s M; printf x) )\" | sed '$s/x>$/>/'",
    "in backquotes": "printf '<%s>' \"x`printf %s M; printf x`\" | sed '1s/^<x/</;$s/x>$/>/'",
    "in bare backquotes": "v=`printf %s M; printf x`; printf '<%s>' \"${v%x}\"",
    "in double quotes in backquotes": 'v=`printf %s "M"; printf x`; printf \'<%s>\' "${v%x}"',
    "in single quotes in backquotes": "v=`printf %s 'M'; printf x`; printf '<%s>' \"${v%x}\"",
    "in backquotes in backquotes": (
        'v=`w=\\`printf %s M; printf x\\`; printf %s "$w"`; printf \'<%s>\' "${v%x}"'
    ),
    "after a here-document": "cat <<EOF >/dev/null\n' \" $( x\nEOF\nprintf '<%s>' M".replace(
        "$( x", "\\$( x"
    ),
    "on the line that begins a here-document": "printf '<%s>' M <<EOF\nbody\nEOF",
    "on that line, behind the here-document": "set -- <<EOF M\nbody\nEOF\nprintf '<%s>' \"$1\"",
    "after arithmetic with a shift": "n=$((1<<3)); printf '<%s>' M",
    "case arm at the top": "case a in a) printf '<%s>' M;; esac",
    "after a case inside a subshell": "(case a in a) :;; esac); printf '<%s>' M",
    "function body": "f() { printf '<%s>' \"M\"; }; f",
}

#: Each prints the text of a here-document that holds the value, between < and >.
DOCUMENTS = {
    "in a line": "cat <<EOF\n<M>\nEOF\n",
    "alone in its line": "cat <<EOF\n<\nM\n>\nEOF\n",
    "beside a piece of the delimiter": "cat <<EOF\n<\nEM\n>\nEOF\n",
    "before a piece of the delimiter": "cat <<EOF\n<\nMF\n>\nEOF\n",
    "with tabs stripped": "cat <<-EOF\n\t<\n\tM\n\t>\n\tEOF\n",
    "with two documents": "cat <<A >/dev/null; cat <<EOF\nA x\nA\n<M>\nEOF\n",
    "in $( )": 'printf "%s\\n" "$(cat <<EOF\n<M>\nEOF\n)"\n',
    "in backquotes": 'v=`cat <<EOF\n<M>\nEOF\n`; printf "%s\\n" "$v"\n',
    "after a quoted document": "cat <<'A' >/dev/null\n' $( `\nA\ncat <<EOF\n<M>\nEOF\n",
    "after a joined line": "cat <<EOF\n<\\\nM>\nEOF\n",
}

PIECES = st.sampled_from(
    [
        *("'", '"', "\\", "$", "`", "$(touch ran)", "`touch ran`", "${HOME}", "$((1))", "!", "#"),
        *(";touch ran;", "\ntouch ran\n", "&& touch ran", "|touch ran", ">ran", "\n", "\t", " "),
        *(
            "EOF",
            "\nEOF\n",
            "E",
            "F",
            "\n\tEOF\n",
            "A",
            "\r",
            "~",
            "*",
            "?",
            "[",
            "{a,b}",
            "=",
            "%s",
        ),
        *("é", "日本", "\U0001f600", "-n", "2", "done", "x=1", ")", "(", "}", "<<EOF", "\\\n"),
    ]
)
VALUES = st.one_of(
    st.lists(PIECES, max_size=6).map("".join),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
)


def filled(template: str, value: str) -> str:
    """The template with the value in its one place, quoted."""
    script = re.sub(r"\bM\b|(?<=E)M|M(?=F)|(?<=x)M", lambda _: MARK, template, count=1)
    (place,) = places(script)
    assert place.kind is not Kind.REFUSED, place.reason
    return script.replace(MARK, quote(value, place))


def output(shell: str, script: str) -> str:
    """What the script prints; it must end well, say nothing on stderr and leave no file."""
    with tempfile.TemporaryDirectory() as folder:
        script_file = Path(folder) / "script"
        script_file.write_bytes(script.encode())
        work = Path(folder) / "work"
        work.mkdir()
        done = subprocess.run([shell, script_file], cwd=work, capture_output=True, timeout=20)
        assert (done.returncode, done.stderr) == (0, b""), script
        assert list(work.iterdir()) == [], script
    return done.stdout.decode()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("context", CONTEXTS)
@settings(max_examples=12, deadline=None)
@given(value=VALUES)
@example(value="")
@example(value="it's \"$(touch ran)\" `touch ran` \\ \\\\' $HOME !! \n")
@example(value="\\")
def test_a_value_reaches_the_command_unchanged(shell: str, context: str, value: str) -> None:
    assert output(shell, filled(CONTEXTS[context], value)).rstrip("\n") == f"<{value}>".rstrip("\n")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("document", DOCUMENTS)
@settings(max_examples=12, deadline=None)
@given(value=VALUES)
@example(value="")
@example(value="EOF")
@example(value="F")
@example(value="\tEOF\n\t\tEOF\n")
@example(value="x\nEOF\ntouch ran\n: <<EOF\n")
@example(value="\\\nEOF\n\\")
def test_a_value_stands_unchanged_in_a_here_document(shell: str, document: str, value: str) -> None:
    template = DOCUMENTS[document]
    body = template[template.index("<", template.index("EOF\n")) : template.rindex(">") + 1]
    wanted = body.replace("\n\t", "\n").replace("\\\n", "").replace("M", value, 1) + "\n"
    assert output(shell, filled(template, value)) == wanted


REFUSED = {
    "after a dollar": 'echo "$M"',
    "after a bare dollar": "echo $M",
    "after a backslash": "echo \\M",
    "after a backslash in double quotes": 'echo "C:\\M"',
    "after a parameter without braces": 'echo "$HOME/x$aM"',
    "in ${ }": 'echo "${x:-M}"',
    "in a string inside ${ }": "echo ${x:-'M'}",
    "in arithmetic": "echo $((1 + M))",
    "in (( ))": "((x = M))",
    "in $( ) in arithmetic": "echo $((1 + $(echo M)))",
    "in a quoted here-document": "cat <<'EOF'\nM\nEOF\n",
    "in a here-document quoted by a backslash": "cat <<\\EOF\nM\nEOF\n",
    "in a substitution in a here-document": "cat <<EOF\n$(echo M)\nEOF\n",
    "in a here-document without end": "cat <<EOF\nM\n",
    "in a subscript": "a[M]=1",
    "as a delimiter": "cat <<M\nM\n",
    "in $' '": "echo $'M'",
    "after a quote in $' '": "echo $'it\\'s' M",
    "after a case in $( )": "echo $(case a in a) echo M;; esac)",
    "in the #! line": "#!/bin/sh M\n",
    "in a script for another program": "#!/usr/bin/env python3\nprint(M)\n",
    "in backquotes after a backslash": "echo `echo \\\\M`",
    "in backquotes that do not end": "echo `echo M",
}


@pytest.mark.parametrize("script", REFUSED.values(), ids=REFUSED.keys())
def test_a_place_that_cannot_be_made_safe_is_refused_with_a_reason(script: str) -> None:
    found = places(re.sub(r"(?<![A-Z])M", MARK, script))
    assert found
    assert all(place.kind is Kind.REFUSED and place.reason for place in found)
    with pytest.raises(ValueError, match="nothing can be put in"):
        quote("value", found[0])


def test_every_mark_has_its_place_in_their_order() -> None:
    script = f"{MARK} '{MARK}' # {MARK}\n\"{MARK}$({MARK})\" <<X\n{MARK}\nX\n`{MARK}`"
    assert [(p.kind, p.backquotes) for p in places(script)] == [
        (Kind.BARE, 0),
        (Kind.SINGLE, 0),
        (Kind.COMMENT, 0),
        (Kind.DOUBLE, 0),
        (Kind.BARE, 0),
        (Kind.HERE, 0),
        (Kind.BARE, 1),
    ]


def test_a_hash_inside_a_word_begins_no_comment() -> None:
    assert [p.kind for p in places(f"echo a#{MARK} $# ${{#x}} {MARK}")] == [Kind.BARE, Kind.BARE]


def test_what_stands_before_an_uncertain_construct_is_not_refused() -> None:
    script = f"echo {MARK}; echo $'it\\'s' {MARK}"
    assert [p.kind for p in places(script)] == [Kind.BARE, Kind.REFUSED]


def test_a_nul_character_is_refused() -> None:
    (place,) = places(f"echo {MARK}")
    with pytest.raises(ValueError, match="NUL"):
        quote("a\0b", place)


SYNTAX = st.lists(
    st.sampled_from(
        [
            *(MARK, MARK, MARK, "'", '"', "\\", "$", "`", "(", ")", "((", "))", "$(", "$((", "${"),
            *("}", "#", "\n", " ", " ", ";", "<<EOF\n", "<<-'E'\n", "\nEOF\n", "\nE\n", "echo "),
            *(": ", "case ", " in ", "esac", "\t", "<<<", "[", "$'", "x=", "$x", "${x:-", "\\\n"),
        ]
    ),
    max_size=16,
).map("".join)

HOSTILE = st.lists(
    st.sampled_from(
        [
            *(";touch ran;", "\ntouch ran\n", "$(touch ran)", "`touch ran`", "'", '"', "\\", ")"),
            *("\nEOF\n", "\nE\n", "}", "\n", "$", "(", "`", "EOF", "E", "))", "a"),
        ]
    ),
    min_size=1,
    max_size=4,
).map("".join)


def without_refused(script: str) -> str:
    """The script with a letter in place of each mark that is refused, as its author may do."""
    found = places(script)
    while any(place.kind is Kind.REFUSED for place in found):
        first, *texts = script.split(MARK)
        kept = ("a" if place.kind is Kind.REFUSED else MARK for place in found)
        script = first + "".join(mark + text for mark, text in zip(kept, texts, strict=True))
        found = places(script)
    return script


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=150, deadline=None)
@given(script=SYNTAX, value=HOSTILE)
def test_no_value_is_run_in_any_place_that_is_not_refused(
    shell: str, script: str, value: str
) -> None:
    """The script may be nonsense and fail; what the value says must not happen."""
    script = without_refused(script)
    texts = iter(script.split(MARK))
    written = next(texts)
    for place, text in zip(places(script), texts, strict=True):
        written += ("a" if place.kind is Kind.COMMENT else quote(value, place)) + text
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([shell], input=written.encode(), cwd=folder, capture_output=True, timeout=20)
        assert not (Path(folder) / "ran").exists(), written


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                *(MARK, "'", '"', "\\", "$", "`", "(", ")", "((", "))", "$(", "${", "}", "#", "\n"),
                *(
                    " ",
                    "<<EOF",
                    "<<-'E'",
                    "EOF\n",
                    "E\n",
                    "a",
                    "case",
                    "\t",
                    "<<<",
                    "[",
                    "$'",
                    "#!",
                ),
            ]
        ),
        max_size=25,
    ).map("".join)
)
def test_any_text_is_read_to_its_end_with_one_place_for_each_mark(script: str) -> None:
    assert len(places(script)) == script.count(MARK)


@pytest.mark.parametrize(
    ("first_line", "program"),
    [
        ("echo", "sh"),
        ("#!/bin/sh -e", "sh"),
        ("#! /bin/bash", "bash"),
        ("#!/usr/bin/env bash", "bash"),
        ("#!/usr/bin/env -S X=1 bash -e", "bash"),
        ("#!/bin/busybox sh", "sh"),
        ("#!/usr/bin/env python3", "python3"),
        ("#!", ""),
    ],
)
def test_the_first_line_tells_the_interpreter(first_line: str, program: str) -> None:
    assert interpreter(f"{first_line}\nrest\n") == program
