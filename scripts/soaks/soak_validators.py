"""`sheetgpt check` held against Microsoft's own validator: what the Open XML SDK refuses, `check` refuses, too.

    python scripts/soaks/soak_validators.py [--mutations 200] [--first 0] [--keep FOLDER]

Mutation n is a small sound workbook in which the seed n breaks one thing: a value, an attribute, an element, their
order, a namespace, a relationship, a content type, a whole part. Prints each that the SDK refuses and `check` doesn't,
but for those that `EXCUSED` gives a reason, and how many the two judge alike. Status 1 if there is any. Linux on x86-64
only, see open_xml_sdk.py. `check` has rules of Excel's that no schema knows, so that the reverse is no fault.
"""

# ruff: noqa: E402
import argparse
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from random import Random

from lxml import etree

from sheetgpt.excel_rules import Problem, check
from sheetgpt.excel_rules.package.xmlns import Element, parse

sys.path[:0] = [str(Path(__file__).parents[2] / "tests" / "shared"), str(Path(__file__).parents[1] / "checks")]
from breakers import Parts, sound_parts, write
from open_xml_sdk import Fault, validate

VALUES = ("", " ", "x", "-1", "0", "1", "2.5", "99999", "4294967296", "true", "auto", "FF00FF", "A1", "rId1", "1 2")
NAMESPACE = "{urn:nobody}"

# Why `check` passes what the SDK refuses: the part and a piece of what the SDK says -> the reason
EXCUSED: dict[tuple[str, str], str] = {}


@dataclass(frozen=True)
class Verdict:
    what: str
    faults: list[Fault]
    problems: list[Problem]

    @property
    def missed(self) -> list[Fault]:
        """What the SDK finds where `check` finds nothing, without what is excused."""
        return [] if self.problems else [fault for fault in self.faults if excuse(fault) is None]


def excuse(fault: Fault) -> str | None:
    places = ((re.search(part, fault.part), text in fault.description, why) for (part, text), why in EXCUSED.items())
    return next((why for part, said, why in places if part and said), None)


def mutate(sound: Parts, rng: Random) -> tuple[Parts, str]:
    """The parts with one thing broken, and what that is."""
    # of a table of relationships, which has few kinds of things to break, one time in four
    name = rng.choice([n for n in sound for _ in range(1 if n.endswith(".rels") else 4)])
    if rng.random() < 0.07:
        return _of_package(sound, name, rng)
    root = parse(sound[name])
    what = _of_tree(root, rng)
    return sound | {
        name: etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)
    }, f"{name}: {what}"


def _of_package(sound: Parts, name: str, rng: Random) -> tuple[Parts, str]:
    if rng.random() < 0.5:
        return {other: data for other, data in sound.items() if other != name}, f"{name} is missing"
    other = rng.choice(list(sound))
    return sound | {name: sound[other]}, f"{name} holds {other}"


def _of_tree(root: Element, rng: Random) -> str:
    """One change of the tree, in place. Cells are many and alike: an element's kind is drawn first."""
    kinds: dict[str, list[Element]] = {}
    for element in root.iter(etree.Element):
        kinds.setdefault(element.tag, []).append(element)
    element = rng.choice(kinds[rng.choice(sorted(kinds))])
    tag, change = etree.QName(element).localname, rng.choice(CHANGES)
    return f"<{tag}> {change(element, rng)}"


def _value(element: Element, rng: Random) -> str:
    if not element.attrib:
        return _text(element, rng)
    key, value = rng.choice(sorted(element.attrib)), rng.choice(VALUES)
    element.set(key, value)
    return f"{key}={value!r}"


def _fewer_attributes(element: Element, rng: Random) -> str:
    if not element.attrib:
        return _text(element, rng)
    key = rng.choice(sorted(element.attrib))
    del element.attrib[key]
    return f"without {key}"


def _more_attributes(element: Element, rng: Random) -> str:
    key = rng.choice(["count", "val", "frob", "id", NAMESPACE + "val"])
    element.set(key, rng.choice(VALUES))
    return f"with {key}={element.get(key)!r}"


def _text(element: Element, rng: Random) -> str:
    element.text = rng.choice(VALUES)
    return f"holds {element.text!r}"


def _gone(element: Element, rng: Random) -> str:
    parent = element.getparent()
    if parent is None:
        return _value(element, rng)
    parent.remove(element)
    return "is gone"


def _twice(element: Element, rng: Random) -> str:
    parent = element.getparent()
    if parent is None:
        return _value(element, rng)
    parent.insert(parent.index(element), deepcopy(element))
    return "stands twice"


def _order(element: Element, rng: Random) -> str:
    parent = element.getparent()
    if parent is None or len(parent) < 2:
        return _twice(element, rng)
    parent.insert(rng.randrange(len(parent)), element)
    return f"stands at place {parent.index(element)}"


def _renamed(element: Element, rng: Random) -> str:
    old = etree.QName(element)
    element.tag = rng.choice([f"{{{old.namespace}}}frob", NAMESPACE + old.localname])
    return f"becomes {element.tag}"


def _moved(element: Element, rng: Random) -> str:
    """Into an element where it doesn't belong."""
    goal = rng.choice([e for e in element.getroottree().iter(etree.Element) if e is not element])
    if element.getparent() is None or element in goal.iterancestors():
        return _value(element, rng)
    goal.append(element)
    return f"stands in <{etree.QName(goal).localname}>"


CHANGES = (_value, _value, _value, _fewer_attributes, _more_attributes, _text, _gone, _twice, _order, _renamed, _moved)


def verdicts(numbers: Iterable[int], folder: Path) -> list[Verdict]:
    """Of the mutations with these numbers, whose workbooks are left in the folder."""
    sound, paths, said = sound_parts(), list[Path](), list[str]()
    for n in numbers:
        parts, what = mutate(sound, Random(n))
        paths.append(write(parts, folder / f"{n}.xlsx"))
        said.append(f"{n} {what}")
    found = [check(path) for path in paths]
    return [Verdict(*each) for each in zip(said, validate(paths), found, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Holds sheetgpt check against Microsoft's validator.")
    parser.add_argument("--mutations", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="where the workbooks of those that check misses go")
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for verdict in verdicts(range(options.first, options.first + options.mutations), Path(folder)):
            counts[f"SDK {_word(verdict.faults)}, check {_word(verdict.problems)}"] += 1
            if verdict.missed:
                counts["missed"] += 1
                print(verdict.what, *verdict.missed, sep="\n    ")
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(Path(folder, f"{verdict.what.split()[0]}.xlsx"), options.keep)
    print(*(f"{n:5} {what}" for what, n in sorted(counts.items())), sep="\n")
    sys.exit(1 if counts["missed"] else 0)


def _word(found: list[Fault] | list[Problem]) -> str:
    return "refuses" if found else "passes"


if __name__ == "__main__":
    main()
