"""``apply`` of a catalog that names inventories: what is stored is what they list today."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.catalog.inventory.conftest import REST
from tests.cli.conftest import Say
from tests.support.fakes import House

CATALOG = {**REST, "inventories": [{"file": "hosts.ini", "environment": "QA"}]}


def machines(house: House) -> list[str]:
    """The machines that there are, in their order."""
    with house.database.read() as tx:
        return tx.catalog.names("machine")


def test_a_host_that_is_gone_from_its_inventory_is_removed(house: House, say: Say) -> None:
    Path("shop").mkdir()
    Path("shop/catalog.yaml").write_text(yaml.safe_dump(CATALOG))
    hosts = Path("shop/hosts.ini")
    hosts.write_text("[web]\nweb-[1:30]\n")
    assert "web-1 … web-30 (30)" in say("apply", "shop").out
    assert len(machines(house)) == 30
    assert say("apply", "shop").out.startswith("no change")

    hosts.write_text("[web]\nweb-[2:30] ansible_user=deploy\n")
    shown = say("apply", "shop", "--dry-run").out
    assert "web-1\n" in shown
    assert "user" in shown
    assert len(machines(house)) == 30

    hosts.write_text("[web]\nweb-[2:30] ansible_port=ssh\n")
    told = say("apply", "shop", code=2).err
    assert "shop/hosts.ini:2: web-2: ansible_port: must be a whole number" in told
    assert len(machines(house)) == 30

    hosts.write_text("[web]\nweb-[2:30]\n")
    say("apply", "shop")
    assert machines(house) == [f"web-{n}" for n in range(2, 31)]
