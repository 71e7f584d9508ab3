"""``docker-compose`` steps, in every shell, against what Docker's documents say: none runs here."""

from __future__ import annotations

from typing import Any

import pytest

from deployengine.domain.filling import BadValue, SecretOnCommandLine
from deployengine.domain.tools import ComposeProject
from tests.recipes import fakes
from tests.recipes.conftest import Place, made, secrets, values
from tests.recipes.fakes import Fake

WELL = ["running", "healthy", 0]
UP = ["running", "", 0]
STARTING = ["running", "starting", 0]
SICK = ["running", "unhealthy", 0]
ENDED = ["exited", "", 3]


def service(*states: list[Any], **more: Any) -> dict[str, Any]:
    return {"states": [*states], **more}


def step(**more: Any) -> ComposeProject:
    return ComposeProject(**{"files": ["compose.yaml"], "healthy_within": 60.0, **more})


@pytest.fixture
def docker(place: Place) -> Fake:
    return fakes.put("docker", place.bin, "docker", "docker-compose")


def tell(docker: Fake, compose: str = "v2", **services: Any) -> None:
    docker.tell(compose=compose, services=services or {"web": service(WELL)})


def doings(docker: Fake) -> list[str]:
    """The calls that change something."""
    return [
        call
        for call in docker.calls()
        if (" up " in call or " pull " in call) and "--help" not in call
    ]


def test_images_are_pulled_and_services_brought_up_until_they_are_healthy(
    place: Place, docker: Fake
) -> None:
    tell(docker)
    done = place.carry_out(step())
    assert (done.returncode, done.stderr) == (0, "")
    assert doings(docker) == [
        "docker compose --file=compose.yaml pull --quiet",
        "docker compose --file=compose.yaml up --detach --wait --wait-timeout 60",
    ]
    assert done.stdout.splitlines()[:2] == [
        "docker compose pull --quiet",
        "docker compose up --detach --wait --wait-timeout 60",
    ]


def test_everything_that_is_said_is_handed_on(place: Place, docker: Fake) -> None:
    tell(docker, web=service(WELL), db=service(UP))
    said = step(
        files=["a.yaml", "b dir/b.yaml"],
        project="shop",
        services=["web", "db"],
        env_file=["prod.env"],
        build=True,
        remove_orphans=True,
        healthy_within=1.5,
    )
    assert place.carry_out(said).returncode == 0
    common = (
        "docker compose --file=a.yaml --file=b dir/b.yaml --env-file=prod.env --project-name=shop"
    )
    assert doings(docker) == [
        f"{common} pull --quiet --ignore-buildable web db",
        f"{common} up --detach --build --remove-orphans --wait --wait-timeout 2 web db",
    ]


def test_images_need_not_be_pulled(place: Place, docker: Fake) -> None:
    tell(docker)
    assert place.carry_out(step(pull=False)).returncode == 0
    assert len(doings(docker)) == 1


def test_images_that_cannot_be_pulled_leave_the_services_alone(place: Place, docker: Fake) -> None:
    docker.tell(compose="v2", services={"web": service(WELL)}, pull=18)
    done = place.carry_out(step())
    assert done.returncode == 1
    assert "manifest unknown" in done.stderr
    assert done.stderr.endswith(
        "docker compose pull ended with 18; the services are as they were\n"
    )
    assert len(doings(docker)) == 1


@pytest.mark.parametrize("compose", ["v2", "v2-old", "v1"])
def test_what_is_not_well_is_shown_with_its_last_lines(
    place: Place, docker: Fake, compose: str
) -> None:
    tell(
        docker,
        compose,
        web=service(STARTING, SICK, lines=["no database"]),
        db=service(ENDED, lines=["no disk"]),
        cache=service(WELL, lines=["all fine"]),
    )
    done = place.carry_out(step())
    assert done.returncode == 1
    assert "shop-web-1   web" in done.stdout
    assert "health unhealthy, exit code 0:\nno database\n" in done.stdout
    assert "last lines of db, which is exited, health none, exit code 3:\nno disk\n" in done.stdout
    assert "all fine" not in done.stdout


# ---- where up cannot wait by itself ----


@pytest.mark.parametrize("compose", ["v2-old", "v1"])
def test_services_are_looked_at_until_they_are_well(
    place: Place, docker: Fake, compose: str
) -> None:
    tell(
        docker,
        compose,
        web=service(["created", "", 0], STARTING, WELL),
        db=service(["restarting", "", 1], UP),
    )
    done = place.carry_out(step(build=True))
    assert (done.returncode, done.stderr) == (0, "")
    program = "docker-compose" if compose == "v1" else "docker compose"
    assert doings(docker) == [
        f"{program} --file=compose.yaml pull --quiet",
        f"{program} --file=compose.yaml up --detach --build",
    ]
    assert sum(" inspect " in call for call in docker.calls()) == 3


def test_what_does_not_become_well_in_time_has_failed(place: Place, docker: Fake) -> None:
    tell(docker, "v1", web=service(STARTING), db=service(UP))
    done = place.carry_out(step(healthy_within=0.1))
    assert done.returncode == 1
    assert done.stderr == "not well within 1 s: web is running, health starting\n"


def test_what_has_ended_is_not_waited_for(place: Place, docker: Fake) -> None:
    tell(docker, "v1", web=service(STARTING), db=service(ENDED))
    done = place.carry_out(step())
    assert done.stderr == "not well: db is exited, health none, exit code 3\n"


def test_no_container_at_all_is_not_well(place: Place, docker: Fake) -> None:
    docker.tell(compose="v1", services={})
    done = place.carry_out(step(healthy_within=0.1))
    assert done.stderr == "not well within 1 s: there is no container\n"


def test_only_the_services_that_are_named_are_looked_at(place: Place, docker: Fake) -> None:
    tell(docker, "v1", web=service(UP), db=service(ENDED))
    assert place.carry_out(step(services=["web"])).returncode == 0


def test_what_runs_beside_the_services_or_was_one_is_not_looked_at(
    place: Place, docker: Fake
) -> None:
    tell(
        docker,
        "v2-old",
        web=service(UP),
        migrate=service(ENDED, oneoff=True, of="web"),
        old=service(ENDED, orphan=True),
    )
    done = place.carry_out(step())
    assert (done.returncode, done.stderr) == (0, "")


# ---- what is missing, and what is said wrong ----


def test_a_machine_without_docker_is_told(place: Place) -> None:
    done = place.carry_out(step())
    assert (done.returncode, done.stderr) == (
        1,
        "a docker-compose step needs docker, which this machine lacks\n",
    )


def test_a_machine_without_compose_is_told(place: Place) -> None:
    docker = fakes.put("docker", place.bin)
    docker.tell(compose="none", services={})
    done = place.carry_out(step())
    assert (done.returncode, done.stderr) == (
        1,
        "a docker-compose step needs docker's plugin compose or docker-compose, and there is "
        "neither\n",
    )


def test_variables_go_into_everything_and_secrets_into_the_environment(
    place: Place, docker: Fake
) -> None:
    docker.tell(
        compose="v2", services={"web": service(WELL)}, environment=["PASSWORD", "TAG", "ODD"]
    )
    said = ComposeProject(
        files=["#{File}"],
        project="#{Tag}",
        services=["#{Service}", "#{Nothing}"],
        env_file=["#{File}.env"],
        environment={"PASSWORD": "#{Secret}", "TAG": "#{Tag}", "ODD": "it's $HOME `x` #{Tag}"},
        pull="#{No}",
        build="#{No}",
        remove_orphans="#{Yes}",
        healthy_within="#{Within}",
    )
    found = values(
        File="c.yaml", Tag="v7", Service="web", Nothing="", No="no", Yes="True", Within="30s"
    )
    done = place.carry_out(said, {**found, **secrets(Secret="s3cret")})
    assert (done.returncode, done.stderr) == (0, "")
    assert doings(docker) == [
        "docker compose --file=c.yaml --env-file=c.yaml.env --project-name=v7 up --detach "
        "--remove-orphans --wait --wait-timeout 30 web (PASSWORD=s3cret) (TAG=v7) "
        "(ODD=it's $HOME `x` v7)"
    ]


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("files", "", "files comes to nothing"),
        ("files", "-", "files must be the path of a file"),
        ("project", "Shop", "project must have small letters"),
        ("services", "--build", "services is no name of a service"),
        ("healthy_within", "x", "healthy_within is no span of time"),
    ],
)
def test_values_that_cannot_be_used_are_told_before_anything_runs(
    key: str, value: str, why: str
) -> None:
    said = "#{V}" if key in ("project", "healthy_within") else ["#{V}"]
    with pytest.raises(BadValue) as caught:
        made(step(**{key: said}), values(V=value))
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize("key", ["files", "project", "services", "env_file"])
def test_a_secret_comes_to_no_command_line(key: str) -> None:
    said = "#{V}" if key == "project" else ["#{V}"]
    with pytest.raises(SecretOnCommandLine):
        made(step(**{key: said}), secrets(V="shop"))
