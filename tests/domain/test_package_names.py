from __future__ import annotations

import pytest

from deployengine.domain.package_layout import (
    extension_of,
    fault_of_pattern,
    filled,
    is_package_name,
    version_by,
    version_of,
)
from deployengine.domain.package_versions import is_pre_release, is_version, newest, precedence


def test_versions_are_ordered_as_numbers_and_a_pre_release_comes_before_its_release() -> None:
    ordered = ["0.9", "1.2", "1.9", "1.10-alpha", "1.10-alpha.2", "1.10-beta", "1.10", "1.10.0.1"]
    assert sorted(set(ordered), key=precedence) == ordered


def test_zeros_at_the_end_and_what_follows_a_plus_do_not_count() -> None:
    assert precedence("1.2") == precedence("1.2.0") == precedence("v1.2.0+build.7")


def test_the_newest_is_a_release_even_where_a_later_pre_release_is_there() -> None:
    assert newest(["1.0", "1.2", "2.0-rc1"]) == "1.2"
    assert newest(["2.0-rc1", "2.0-rc2"]) == "2.0-rc2"
    assert newest([]) is None
    assert is_pre_release("2.0-rc1")
    assert not is_pre_release("2.0")


@pytest.mark.parametrize("text", ["1", "1.2.3-rc.1+5", "v2", "2024.11.26"])
def test_a_version_begins_with_a_digit(text: str) -> None:
    assert is_version(text)


@pytest.mark.parametrize("text", ["", "web-1.2", "1/2", "1 2", "..", "1.2\n", "vv1"])
def test_what_does_not_is_none(text: str) -> None:
    assert not is_version(text)


@pytest.mark.parametrize("name", ["shop", "Shop.Web", "shop_web-2", "_x"])
def test_names_of_packages(name: str) -> None:
    assert is_package_name(name)


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a..b", "-a", ".a", "a b", "a\n"])
def test_what_is_no_name_of_a_package(name: str) -> None:
    assert not is_package_name(name)


def test_a_file_of_a_package_has_its_version_after_a_dot_or_a_dash() -> None:
    assert version_of("shop.1.2.0.zip", "shop") == "1.2.0"
    assert version_of("shop-1.2.0-rc1.tar.gz", "shop") == "1.2.0-rc1"
    assert version_of("Shop.1.0.NUPKG", "shop") == "1.0"


def test_another_package_whose_name_begins_alike_is_none_of_it() -> None:
    assert version_of("shop-web-1.2.zip", "shop") is None
    assert version_of("shop.zip", "shop") is None
    assert version_of("shop1.2.zip", "shop") is None
    assert version_of("shop.1.2.txt", "shop") is None


def test_the_longest_ending_counts() -> None:
    assert extension_of("a.tar.gz") == "tar.gz"
    assert extension_of("a.gz") is None


def test_a_pattern_is_filled_and_read_back() -> None:
    pattern = "{name}/{version}/{name}_{version}_all.zip"
    assert filled(pattern, "shop", "1.2") == "shop/1.2/shop_1.2_all.zip"
    assert version_by("{name}_{version}_all.zip", "shop", "shop_1.2_all.zip") == "1.2"
    assert version_by("{version}-{version}.zip", "shop", "1.2-1.2.zip") == "1.2"
    assert version_by("{version}-{version}.zip", "shop", "1.2-1.3.zip") is None
    assert version_by("{name}_{version}.zip", "shop", "shopXweb_1.2.zip") is None


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("{name}.zip", "{version}"),
        ("{package}.{version}.zip", "{package}"),
        ("/{version}.zip", "no / before it"),
        ("../{version}.zip", "no .. in it"),
        ("{version}.exe", ".tar.gz"),
        ("{version.zip", "{version}"),
        ("{version}}.zip", "brace"),
    ],
)
def test_what_is_wrong_with_a_pattern_is_told(pattern: str, told: str) -> None:
    assert told in (fault_of_pattern(pattern) or "")


def test_a_good_pattern_has_no_fault() -> None:
    assert fault_of_pattern("{name}/{name}-{version}.tar.gz") is None
