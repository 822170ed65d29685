"""What is served while files change, as stories: a step is a state of the files, and what is served then."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lockgate.edge.manifests import NOTHING, Manifests
from lockgate.edge.settling import Absence, Disk, Settled, Settling
from lockgate.resources.faults import Severity
from lockgate.resources.reader import read


def service(name: str) -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80}}]}}\n---\n"


def manifests(files: dict[str, str]) -> Manifests:
    """What files.load makes of files by name, whose content is the names of Services, or YAML."""
    texts = {
        file: text if ":" in text else "".join(service(name) for name in text.split()) for file, text in files.items()
    }
    readings = {file: read(text, file) for file, text in texts.items()}
    return Manifests(
        tuple(document for reading in readings.values() for document in reading.documents),
        tuple(fault for reading in readings.values() for fault in reading.faults),
        tuple(files),
        frozenset(
            file
            for file, reading in readings.items()
            if any(fault.severity is Severity.ERROR for fault in reading.faults)
        ),
        {},
    )


class Story:
    def __init__(self, **files: str) -> None:
        self.settling = Settling()
        self.served = manifests(files)
        self.changed = 0.0
        self.files: dict[str, str] = files
        self.settled = Settled(self.served, {})

    def at(self, time: float, files: dict[str, str] | None = None, **disk: set[str]) -> str:
        """The names of what is served when the files have been looked at; without `files` they are as before."""
        if files is not None:
            self.files, self.changed = files, time
        sets: dict[str, Any] = {name: frozenset(value) for name, value in disk.items()}
        now = manifests(self.files) if self.files else NOTHING
        self.settled = self.settling.settle(now, self.served, Disk(time, self.changed, **sets))
        self.served = self.settled.manifests
        return " ".join(sorted(each.manifest["metadata"]["name"] for each in self.served.documents if each.accepted))


def test_new_files_count_at_once() -> None:
    story = Story(a="web")
    assert story.at(1, {"a": "web", "b": "api"}) == "api web"
    assert story.settled.due == math.inf
    assert not story.settled.kept


def test_an_object_taken_out_of_a_file_goes_after_a_second() -> None:
    story = Story(a="web api")
    assert story.at(1, {"a": "web"}) == "api web"
    assert story.settled.due == 2
    assert story.settled.kept == {"a": Absence.EDITED}
    assert story.at(1.9) == "api web"
    assert story.at(2) == "web"
    assert not story.settled.kept


def test_an_object_that_moves_to_another_file_is_not_deleted() -> None:
    story = Story(a="web api")
    assert story.at(1, {"a": "web"}) == "api web"
    assert story.at(1.5, {"a": "web", "b": "api"}) == "api web"
    assert story.at(60) == "api web"
    assert {each.position.file for each in story.served.documents} == {"a", "b"}


def test_each_change_of_the_files_starts_the_wait_again() -> None:
    story = Story(a="web", b="api")
    story.at(1, {"a": "web"})
    assert story.settled.due == 3
    assert story.at(2.5, {"a": "web", "c": "new"}) == "api new web"
    assert story.settled.due == 4.5
    assert story.at(4.5) == "new web"


def test_files_that_change_constantly_do_not_keep_an_object_forever() -> None:
    story = Story(a="web", b="api")
    story.at(0, {"a": "web"})
    assert story.at(119, {"a": "web", "c": "new"}) == "api new web"
    assert story.at(120, {"a": "web", "c": "new newer"}) == "new newer web"


@pytest.mark.parametrize("half", ["", "web", "kind: [", "apiVersion: v1\nkind: Service\nmetadata: {name: ap"])
def test_a_file_that_is_being_written_is_as_it_was(half: str) -> None:
    story = Story(a="web api", b="other")
    assert story.at(1, {"a": half, "b": "other"}, written={"a"}) == "api other web"
    assert not story.served.faults
    assert story.at(90, written={"a"}) == "api other web"
    assert story.at(91, {"a": "web api new", "b": "other"}) == "api new other web"


def test_a_new_file_counts_when_it_is_written() -> None:
    story = Story(a="web")
    assert story.at(1, {"a": "web", "b": "api"}, written={"b"}) == "web"
    assert story.settled.kept == {"b": Absence.WRITTEN}
    assert story.at(2) == "api web"


def test_a_writer_that_forgets_to_close_its_file_is_not_waited_for_for_ever() -> None:
    story = Story(a="web", b="api")
    assert story.at(0, {"a": "", "b": "api"}, written={"a"}) == "api web"
    assert story.settled.due == 120
    assert story.at(120, written={"a"}) == "api"


def test_an_emptied_file_with_unknown_writers() -> None:
    story = Story(a="web", b="api")
    assert story.at(1, {"a": "", "b": "api"}) == "api web"
    assert story.at(2.6, {"a": "web new", "b": "api"}) == "api new web"
    assert story.settled.due == math.inf


def test_a_folder_removed_file_by_file_and_made_again() -> None:
    """As a build does with `rmtree`, and then writes for seconds."""
    story = Story(a="web", b="api", c="db")
    assert story.at(1, {"b": "api", "c": "db"}) == "api db web"
    assert story.at(1.5, {"c": "db"}) == "api db web"
    assert story.at(2, {}, unreachable={"a", "b", "c"}) == "api db web"
    assert story.settled.due == math.inf
    assert story.at(300, {"a": "web"}) == "api db web"
    assert story.settled.due == 305, "the folder had vanished: this takes longer than a removed file"
    assert story.at(304, {"a": "web", "b": "api"}) == "api db web"
    assert story.at(308.9) == "api db web"
    assert story.at(309) == "api web"


def test_a_folder_below_that_was_removed() -> None:
    story = Story(**{"a": "web", "sub/b": "api"})
    assert story.at(1, {"a": "web"}, uprooted={"sub/b"}) == "api web"
    assert story.settled.kept == {"sub/b": Absence.UPROOTED}
    assert story.at(5.9, uprooted={"sub/b"}) == "api web"
    assert story.at(6, uprooted={"sub/b"}) == "web"


def test_one_of_two_paths_vanishes_while_the_other_changes() -> None:
    story = Story(**{"one/a": "web", "two/b": "api"})
    assert story.at(1, {"two/b": "api new"}, unreachable={"one/a"}) == "api new web"
    assert story.at(1000, unreachable={"one/a"}) == "api new web"
    assert story.settled.kept == {"one/a": Absence.UNREACHABLE}


def test_the_last_usable_objects_stay() -> None:
    story = Story(a="web", b="api")
    assert story.at(1, {}) == "api web"
    assert story.at(3) == "api web"
    assert story.settled.kept == {"a": Absence.LAST, "b": Absence.LAST}
    assert story.settled.due == math.inf
    assert story.at(1000, {"c": "new"}) == "api new web", "the old ones leave as usual"
    assert story.at(1002) == "new"


def test_a_broken_file_hides_its_objects_while_it_is_broken() -> None:
    story = Story(a="web api")
    assert story.at(1, {"a": "kind: ["}) == "api web"
    assert story.at(1000) == "api web"
    assert [each.file for each in story.served.faults] == ["a"]
    assert story.at(1001, {"a": "web"}) == "api web"
    assert story.at(1002) == "web"


def test_an_object_that_is_refused_stays_as_it_was_in_whatever_file_it_is() -> None:
    refused = service("api").replace("80", "many")
    story = Story(a="web api")
    assert story.at(1, {"a": "web", "b": refused}) == "api web"
    assert story.at(1000) == "api web"
    assert len([each for each in story.served.documents if not each.accepted]) == 1


def test_objects_of_the_same_kind_and_name_in_two_api_groups_are_two() -> None:
    gateways = [
        f"apiVersion: {group}\nkind: Gateway\nmetadata: {{name: web}}\nspec: {{}}\n"
        for group in ("networking.istio.io/v1", "gateway.networking.k8s.io/v1")
    ]
    story = Story(a=gateways[1], b="api")
    assert story.at(1, {"b": "api", "c": gateways[0].replace("spec: {}", "spec: {servers: []}")}).split().count("web")
    assert story.settled.kept == {"a": Absence.DELETED}


def test_what_was_found_in_a_file_is_found_while_it_is_kept() -> None:
    odd = service("web").replace("port: 80", "port: 80, prot: TCP")
    story = Story(a=odd, b="api")
    assert len(story.served.faults) == 1
    story.at(1, {"b": "api"})
    assert len(story.served.faults) == 1
    story.at(3)
    assert not story.served.faults
