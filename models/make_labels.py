#!/usr/bin/env python3
"""The names of the ImageNet classes, one a line in class order, from the package's JSON.

Where the package describes a class instead of naming it, the class has its usual short name here,
and two classes have one name only where they are the same thing.
"""

import argparse
import collections
import json

# class: (what the package calls it, its usual name)
NAMES = {
    268: ("Mexican hairless dog (xoloitzcuintli)", "Mexican hairless dog"),
    282: ("a cat having a striped coat", "tiger cat"),
    439: ("military hat (bearskin or shako)", "bearskin hat"),
    548: ("entertainment center (furniture)", "entertainment center"),
    638: ("tights for gymnastics, a one-piece leotard, or a sport jersey", "maillot"),
    744: ("missile", "projectile"),  # 657 is the missile
    998: ("fruiting spike of a cereal plant", "corn cob"),
}
# ImageNet's "sunglass" and "sunglasses, dark glasses, shades" show the same things.
SAME = {"sunglasses"}
LONGEST = 32


def names_of(labels):
    labels = list(labels)
    for index, (package, usual) in NAMES.items():
        if labels[index] != package:
            raise SystemExit(f"class {index} is {labels[index]!r} in the package, not {package!r}")
        labels[index] = usual
    twice = {name for name, count in collections.Counter(labels).items() if count > 1} - SAME
    if twice:
        raise SystemExit(f"names of several classes: {sorted(twice)}")
    long = [name for name in labels if len(name) > LONGEST]
    if long:
        raise SystemExit(f"descriptions rather than names: {long}")
    return labels


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("json", help="a list of the 1,000 names, in class order")
    with open(parser.parse_args().json, encoding="utf-8") as file:
        print(*names_of(json.load(file)), sep="\n")


if __name__ == "__main__":
    main()
