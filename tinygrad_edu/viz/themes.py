"""What a picture looks like: a shape and a colour for every role, on white and on black.

Shapes alone tell the roles apart, and so do colours alone. The colours are those of Okabe and Ito (2008), *Color Universal Design*,
which every kind of colour vision tells apart; fills are tints of them, on which text has a contrast of at least 7 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

Style: TypeAlias = Mapping[str, str]

FONT = "Helvetica,Arial,sans-serif"
# Attributes that do not depend on the theme.
GRAPH: Style = MappingProxyType({"nodesep": "0.3", "ranksep": "0.32", "compound": "true"})
NODE: Style = MappingProxyType({"fontname": FONT, "fontsize": "14", "height": "0.3", "margin": "0.12,0.06"})
EDGE: Style = MappingProxyType({"fontname": FONT, "fontsize": "12", "arrowsize": "0.7"})
CLUSTER: Style = MappingProxyType({"fontname": FONT, "fontsize": "13", "labeljust": "l", "penwidth": "1.2"})
SLANTED: Style = MappingProxyType(
    {"style": "filled", "penwidth": "1.6", "fontsize": "16", "margin": "0,-0.06", "height": "0.2"}  # Graphviz makes them tall
)
SHAPES: Mapping[str, Style] = MappingProxyType(
    {
        "op": {"shape": "box", "style": "rounded,filled", "penwidth": "1.6", "fontsize": "16"},
        "derivative": {"shape": "octagon", "style": "filled", "penwidth": "1.6", "fontsize": "16", "margin": "0.02,0.02"},
        "spread": {"shape": "trapezium", **SLANTED},
        "gather": {"shape": "invtrapezium", **SLANTED},
        "closed": {"shape": "box3d", "style": "filled", "penwidth": "1.6", "fontsize": "15", "margin": "0.2,0.1"},
        "leaf": {"shape": "ellipse", "style": "filled", "penwidth": "1.6", "margin": "0.03"},
        "constant": {"shape": "box", "style": "filled", "penwidth": "1.2"},
        "intermediate": {"shape": "plain", "margin": "0.05"},
        "point": {"shape": "point", "width": "0.08"},
        "result": {"shape": "ellipse", "style": "filled", "penwidth": "1.6", "margin": "0.03", "peripheries": "2"},
    }
)


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a theme: of a role, (line, fill, text)."""

    background: str
    text: str
    quiet: str  # text beside arrows, and names of modules
    line: str
    colours: Mapping[str, tuple[str, str, str]]
    orders: tuple[tuple[str, str, str], ...]  # of the operations of first derivatives, second ones, and so on in turn
    changes: Mapping[str, tuple[str, str, str]]
    problem: tuple[str, str, str]
    module: tuple[str, str]  # line and fill of a module's box
    block: tuple[str, str]  # of a repeated block's
    heat: tuple[str, ...]  # arrows from small to large gradients
    warmth: tuple[str, ...]  # fills from little to much time or memory


LIGHT = Theme(
    background="white",
    text="#111111",
    quiet="#444455",
    line="#555555",
    colours={
        "op": ("#222222", "white", "#111111"),
        "closed": ("#222222", "#E9E9F2", "#111111"),
        "leaf": ("#0072B2", "#CFE8F7", "#111111"),
        "constant": ("#777777", "#EBEBEB", "#111111"),
        "result": ("#B35A00", "#FDE3B8", "#111111"),
    },
    orders=(("#9A4A7C", "#F6E1EC", "#111111"), ("#00795A", "#D5F0E6", "#111111"), ("#8A7A00", "#FAF6C8", "#111111")),
    changes={
        "added": ("#00795A", "#CDEFE3", "#111111"),
        "removed": ("#8C2D00", "#FBDDCB", "#111111"),
        "changed": ("#998800", "#FBF5B5", "#111111"),
    },
    problem=("#C00000", "#FFD9D9", "#900000"),
    module=("#B8B8C4", "#F6F6FA"),
    block=("#0072B2", "#F1F8FD"),
    heat=("#9AA5B1", "#B79A5B", "#C77F2A", "#CC5C12", "#B03A00"),
    warmth=("white", "#FFF1DC", "#FFDDAE", "#FFC27A", "#FFA24D"),
)
DARK = Theme(
    background="#14161B",
    text="#F2F2F2",
    quiet="#C3C7D1",
    line="#A7ADB8",
    colours={
        "op": ("#E4E6EB", "#2A2E37", "#FFFFFF"),
        "closed": ("#E4E6EB", "#3B4150", "#FFFFFF"),
        "leaf": ("#56B4E9", "#0B3A57", "#FFFFFF"),
        "constant": ("#9A9FAA", "#33363D", "#FFFFFF"),
        "result": ("#E69F00", "#573A00", "#FFFFFF"),
    },
    orders=(("#E08FBF", "#512640", "#FFFFFF"), ("#2FC79B", "#05402F", "#FFFFFF"), ("#F0E442", "#47430A", "#FFFFFF")),
    changes={
        "added": ("#2FC79B", "#05402F", "#FFFFFF"),
        "removed": ("#FF8A4D", "#5A2006", "#FFFFFF"),
        "changed": ("#F0E442", "#47430A", "#FFFFFF"),
    },
    problem=("#FF6B6B", "#5E1212", "#FFFFFF"),
    module=("#4A4F5C", "#1C1F27"),
    block=("#56B4E9", "#15222C"),
    heat=("#6F7885", "#A98F4E", "#D0933A", "#F08A3C", "#FF7A33"),
    warmth=("#2A2E37", "#42351F", "#5A4017", "#714A0D", "#8C5400"),
)
THEMES = {"light": LIGHT, "dark": DARK}
