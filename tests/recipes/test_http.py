"""``http`` steps, with real tools against a real site, in every shell that is here."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployengine.domain.filling import BadValue
from deployengine.domain.insertion import NulInValue
from deployengine.domain.tools import HttpCheck
from tests.recipes.conftest import BUSYBOX, Place, made, secrets, values
from tests.support.sshd import tool
from tests.support.web_site import Reply, WebSite, self_signed, web_site

#: The tools that ask, as a machine may have them. What this project tests with is installed in CI.
TOOLS = ["curl", "wget", *(["wget of busybox"] if BUSYBOX else [])]

#: Asks once and no more.
ONCE: dict[str, Any] = {"healthy_within": 20.0, "every": 60.0, "answer_within": 20.0}
PATIENT: dict[str, Any] = {"healthy_within": 30.0, "every": 0.02, "answer_within": 5.0}


def check(site: WebSite, path: str = "/health", **more: Any) -> HttpCheck:
    return replace(HttpCheck(site.url(path), **PATIENT), **more)


@pytest.fixture
def site() -> Iterator[WebSite]:
    with web_site() as found:
        yield found


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "certificate.pem")


@pytest.fixture(params=TOOLS)
def asking(request: pytest.FixtureRequest, place: Place) -> Place:
    """A machine with one of the tools."""
    put(place, request.param)
    return place


def put(place: Place, name: str) -> None:
    if name == "wget of busybox":
        (place.bin / "wget").symlink_to(str(BUSYBOX))
    elif place.shell == "busybox" and name == "wget":
        (place.bin / "wget").symlink_to(tool("wget"))
    else:
        place.install(name)


@pytest.fixture
def curl(place: Place) -> Place:
    put(place, "curl")
    return place


# ---- what counts as healthy ----


def test_a_good_answer_is_the_end(asking: Place, site: WebSite) -> None:
    done = asking.carry_out(check(site))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"GET {site.url()} is healthy: it answered 200 at try 1, after 0")
    assert [(a.method, a.path) for a in site.asked] == [("GET", "/health")]


def test_it_is_asked_again_until_it_is_healthy(asking: Place, site: WebSite) -> None:
    site.replies = [Reply(503), Reply(503), Reply(500), Reply(200)]
    done = asking.carry_out(check(site))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == [
        f"GET {site.url()}: it answered 503, not 200-399",
        f"GET {site.url()}: it answered 500, not 200-399",
    ]
    assert "it answered 200 at try 4" in done.stdout
    assert len(site.asked) == 4


def test_what_stays_wrong_is_told_at_the_end(asking: Place, site: WebSite) -> None:
    site.replies = [Reply(503)]
    done = asking.carry_out(check(site, healthy_within=2.0))
    assert done.returncode == 1
    assert done.stderr == (
        f"GET {site.url()} was not healthy within 2 s: it answered 503, not 200-399\n"
    )
    assert len(site.asked) > 1


def test_which_answers_are_good_is_said_in_codes_and_ranges(asking: Place, site: WebSite) -> None:
    site.replies = [Reply(200), Reply(404), Reply(401)]
    done = asking.carry_out(check(site, expect=["401", "300-302"]))
    assert (done.returncode, len(site.asked)) == (0, 3)


def test_so_many_good_answers_must_come_in_a_row(asking: Place, site: WebSite) -> None:
    site.replies = [Reply(200), Reply(200), Reply(503), Reply(200)]
    done = asking.carry_out(check(site, successes=3))
    assert (done.returncode, len(site.asked)) == (0, 6)


def test_too_few_in_a_row_are_none(curl: Place, site: WebSite) -> None:
    done = curl.carry_out(check(site, **ONCE, successes=3))
    assert done.returncode == 1
    assert "only so many good answers in a row: 1 of 3" in done.stderr


@pytest.mark.parametrize("sought", ["all well", "/^status: +all (well|good)$/"])
def test_the_answer_must_hold_what_is_sought(asking: Place, site: WebSite, sought: str) -> None:
    site.replies = [Reply(body="status: starting\n"), Reply(body="first\nstatus:  all good\n")]
    if not sought.startswith("/"):
        site.replies[1] = Reply(body="x all well y")
    done = asking.carry_out(check(site, contains=sought))
    assert (done.returncode, done.stderr) == (0, "")
    shown = sought.strip("/")
    assert f"it answered 200, without {shown}\n" in done.stdout


def test_a_text_is_no_expression(curl: Place, site: WebSite) -> None:
    site.replies = [Reply(body="abc"), Reply(body="a.c")]
    assert curl.carry_out(check(site, contains="a.c")).returncode == 0
    assert len(site.asked) == 2


def test_an_expression_that_grep_cannot_read_is_told_at_once(curl: Place, site: WebSite) -> None:
    done = curl.carry_out(check(site, contains="/(/"))
    assert done.returncode == 1
    assert done.stderr.startswith("contains: grep cannot look for that: ")
    assert len(site.asked) == 1


def test_a_redirect_is_an_answer_and_is_not_followed_to_what_is_sought(
    asking: Place, site: WebSite
) -> None:
    site.replies = [Reply(302, body="", headers={"Location": "/other"}), Reply(body="other")]
    assert asking.carry_out(check(site, expect=["302"])).returncode == 0
    site.asked.clear()
    done = asking.carry_out(check(site, **ONCE, contains="other", expect=["302"]))
    if done.returncode == 0:
        pytest.fail("it took the page that the redirect leads to for the answer")


# ---- what is sent ----


def test_headers_and_a_body_are_sent(asking: Place, site: WebSite) -> None:
    headers = {"X-Greeting": 'hello "you" \\ $HOME `x`', "Content-Type": "application/json"}
    body = '{"a": "b\\n@",\n "c": "\t\'$(x)\'"}'
    done = asking.carry_out(check(site, method="POST", headers=headers, body=body))
    assert (done.returncode, done.stderr) == (0, "")
    (asked,) = site.asked
    assert (asked.method, asked.body) == ("POST", body)
    assert headers.items() <= asked.headers.items()


def test_a_body_is_never_taken_for_the_name_of_a_file(curl: Place, site: WebSite) -> None:
    assert curl.carry_out(check(site, method="PUT", body="@/etc/passwd")).returncode == 0
    assert site.asked[0].body == "@/etc/passwd"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("name", ["curl", "wget"])
def test_every_method_is_sent(dash: Place, site: WebSite, method: str, name: str) -> None:
    put(dash, name)
    done = dash.carry_out(check(site, method=method))
    assert (done.returncode, done.stderr) == (0, "")
    assert [asked.method for asked in site.asked] == [method]


def test_a_url_is_taken_as_it_stands(curl: Place, site: WebSite) -> None:
    path = "/a[1-3]{x,y}?q='$(x)'&r=%20;*"
    assert curl.carry_out(check(site, path)).returncode == 0
    assert [asked.path for asked in site.asked] == [path]


def test_settings_of_the_user_change_nothing(curl: Place, site: WebSite) -> None:
    (curl.folder / ".curlrc").write_text('header = "X-Mine: yes"\n')
    assert curl.carry_out(check(site)).returncode == 0
    assert "X-Mine" not in site.asked[0].headers


def test_variables_go_into_everything(curl: Place, site: WebSite) -> None:
    said = HttpCheck(
        url="http://127.0.0.1:#{Port}/#{Page}",
        method="#{Method}",
        headers={"X-One": "#{Page} it's"},
        body="#{Page}",
        expect=["#{Codes}"],
        contains="#{Sought}",
        healthy_within="#{Within}",
        every="#{Every}",
        answer_within="#{Every}",
        successes="#{Times}",
        insecure_tls="#{No}",
    )
    found = values(
        Port=str(site.port), Page="p", Method="POST", Codes="204, 200-201", Sought="hell",
        Within="1m", Every="2s", Times="1", No="False",
    )  # fmt: skip
    done = curl.carry_out(said, found)
    assert (done.returncode, done.stderr) == (0, "")
    (asked,) = site.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/p", "p")
    assert asked.headers["X-One"] == "p it's"


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("url", "ftp://x/", "url must begin with http:// or https://"),
        ("url", "http:///x", "url names no host"),
        ("url", "http://x/a b", "url holds a space"),
        ("method", "FETCH", "method must be GET, HEAD, POST"),
        ("expect", "2xx", "expect must be a status code or a range of them"),
        ("expect", "300-200", "expect must be a status code or a range of them"),
        ("expect", " ", "expect comes to nothing"),
        ("contains", "a\nb", "contains must be one line"),
        ("healthy_within", "soon", "healthy_within is no span of time"),
        ("every", "0s", "every must be more than 0"),
        ("successes", "0", "successes must be a whole number from 1 on"),
        ("headers", "a\nX-Other: b", "header X must be one line"),
    ],
)
def test_values_that_cannot_be_used_are_told_before_anything_runs(
    key: str, value: str, why: str
) -> None:
    said: Any = {"expect": ["#{V}"], "headers": {"X": "#{V}"}}.get(key, "#{V}")
    wrong = replace(HttpCheck("http://x"), **{key: said})
    with pytest.raises(BadValue) as caught:
        made(wrong, values(V=value))
    assert str(caught.value).startswith(why)
    if value.strip():
        assert value not in str(caught.value)


def test_a_nul_is_told() -> None:
    with pytest.raises(NulInValue):
        made(HttpCheck("http://x", body="#{V}"), values(V="a\0b"))


# ---- secrets ----


def test_no_secret_comes_to_a_command_line(place: Place, site: WebSite) -> None:
    """The tool is held while it asks, and every command line there is then is looked at."""
    put(place, "curl")
    site.replies = [Reply(never=True)]
    found = secrets(Token="t0ps3cret")
    said = check(
        site,
        "/#{Token}",
        headers={"X-Auth": "Bearer #{Token}"},
        body="#{Token}",
        method="POST",
        contains="#{Token}",
    )
    seen: list[str] = []

    def look() -> None:
        while not site.asked and not site.over.wait(0.01):
            pass
        seen.extend(command_lines())
        site.over.set()

    looker = threading.Thread(target=look)
    looker.start()
    script = made(replace(said, **ONCE), found)
    assert (script.sensitive, script.secrets) == (True, {"t0ps3cret"})
    done = place.run(script.text)
    site.over.set()
    looker.join()
    assert done.returncode == 1
    assert any("curl" in line for line in seen)
    assert not [line for line in seen if "t0ps3cret" in line]
    assert site.asked[0].headers["X-Auth"] == "Bearer t0ps3cret"


def command_lines() -> list[str]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found.append(Path("/proc", pid, "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("name", TOOLS[1:])
@pytest.mark.parametrize("key", ["url", "headers", "body"])
def test_a_secret_that_wget_would_have_on_its_command_line_is_refused(
    dash: Place, site: WebSite, name: str, key: str
) -> None:
    put(dash, name)
    said: Any = {"url": site.url("/#{T}"), "headers": {"X": "#{T}"}, "body": "#{T}"}[key]
    done = dash.carry_out(replace(check(site, method="POST"), **{key: said}), secrets(T="s3cret"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "url, headers or body hold a sensitive value, which wget could be given on its command "
        "line only; install curl on the machine that asks\n"
    )
    assert site.asked == []


# ---- what goes wrong ----


def test_a_connection_that_is_refused_is_told(asking: Place, site: WebSite) -> None:
    said = replace(check(site, **ONCE), url="http://127.0.0.1:1/")
    done = asking.carry_out(said)
    assert done.returncode == 1
    assert "was not healthy within 20 s: " in done.stderr
    assert "refused" in done.stderr.lower() or "connect" in done.stderr.lower()


def test_what_does_not_answer_in_time_is_given_up(asking: Place, site: WebSite) -> None:
    site.replies = [Reply(never=True)]
    done = asking.carry_out(check(site, healthy_within=0.5, answer_within=30.0))
    assert done.returncode == 1
    assert "within" in done.stderr or "timed out" in done.stderr


def test_a_slow_answer_does_not_take_the_time_of_the_next(curl: Place, site: WebSite) -> None:
    site.replies = [Reply(never=True), Reply()]
    done = curl.carry_out(check(site, answer_within=0.2))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"GET {site.url()}: no answer within 0.20 s" in done.stdout


def test_a_last_try_that_is_cut_short_hides_no_reason(curl: Place, site: WebSite) -> None:
    site.replies = [Reply(503), Reply(never=True)]
    done = curl.carry_out(check(site, healthy_within=0.6, answer_within=30.0))
    assert done.stderr.endswith("was not healthy within 0.60 s: it answered 503, not 200-399\n")
    assert "no answer" not in done.stdout


def test_the_proxy_of_whoever_runs_it_is_not_asked(asking: Place, site: WebSite) -> None:
    proxies = {
        name: "http://127.0.0.1:1"
        for word in ("http_proxy", "https_proxy", "all_proxy")
        for name in (word, word.upper())
    }
    done = asking.run(made(check(site, **ONCE), {}).text, proxies)
    assert (done.returncode, len(site.asked)) == (0, 1)


def test_an_answer_that_breaks_off_is_none(asking: Place, site: WebSite) -> None:
    site.replies = [Reply(length=100), Reply()]
    done = asking.carry_out(check(site, answer_within=1.0))
    assert (done.returncode, len(site.asked)) == (0, 2)


def test_an_endless_answer_does_not_fill_the_disk(asking: Place, site: WebSite) -> None:
    site.replies = [Reply(body="sought" + "x" * 30_000_000), Reply(body="sought")]
    done = asking.carry_out(check(site, contains="sought"))
    assert (done.returncode, len(site.asked)) == (0, 2)


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_that_is_said(
    asking: Place, certificate: Path
) -> None:
    with web_site(certificate) as site:
        refused = asking.carry_out(check(site, **ONCE))
        assert refused.returncode == 1
        assert "certificate" in refused.stderr
        assert site.asked == []
        done = asking.carry_out(check(site, insecure_tls=True))
        assert (done.returncode, len(site.asked)) == (0, 1), done.stderr


def test_without_a_tool_it_is_told_what_to_install(dash: Place, site: WebSite) -> None:
    done = dash.carry_out(check(site))
    assert (done.returncode, done.stderr) == (
        1,
        "an http step needs curl or wget on the machine that asks, and there is neither\n",
    )


@pytest.mark.parametrize("method", ["PUT", "HEAD"])
def test_what_the_wget_of_busybox_cannot_do_is_told(
    dash: Place, site: WebSite, method: str
) -> None:
    tool("busybox")
    put(dash, "wget of busybox")
    done = dash.carry_out(check(site, method=method))
    assert done.returncode == 1
    assert "this wget can only GET without a body and POST; install curl" in done.stderr
    assert site.asked == []


@pytest.mark.parametrize("name", ["dash", "bash", "busybox", "curl", "wget"])
def test_all_that_recipes_are_tested_with_is_here(name: str) -> None:
    """In CI; elsewhere what is missing is left out."""
    tool(name)
