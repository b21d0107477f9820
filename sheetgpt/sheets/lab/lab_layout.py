"""Where everything is on the sheets Lab and Edits."""

from dataclasses import dataclass
from functools import cached_property

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import ACTIVE_ROW, BIAS, EDITS, GAIN, LAB
from sheetgpt.sheets.lab.lanes import Move, Redirect
from sheetgpt.sheets.lab.screws import N_PATCHES, N_STEERING, PATCH, SETTINGS, STEERING
from sheetgpt.sheets.layout import Layout

TYPED = 3  # column C


@dataclass(frozen=True)
class Bands:
    """A block's rows on the sheet Edits: of each part the flag's row, and what comes out, lane B's columns."""

    steered: tuple[Area, ...]  # by tokens
    apart: tuple[Area, ...]  # by the lanes' difference
    resid_patched: Area
    resid: Area
    head_patched: tuple[Area, ...]
    z: Area
    mlp_patched: Area
    mlp: Area


@dataclass(frozen=True)
class LabLayout:
    """The map of the two sheets."""

    layout: Layout

    @cached_property
    def move(self) -> Move:
        """To lane B, whose blocks read what the sheet Edits has made of a part's output."""
        layout, found = self.layout, []
        for i, bands in enumerate(self.blocks):
            on = layout.block_sheet(i)
            stream = layout["embed" if i == 0 else f"h{i - 1}.resid_post"]
            found.append(Redirect(on, stream, bands.resid))
            found.append(Redirect(on, layout[f"h{i}.attn.z"], bands.z))
            found.append(Redirect(on, layout[f"h{i}.mlp.out"], bands.mlp))
        return Move(layout, tuple(found))

    # Lab, from top to bottom

    def typed(self, name: str) -> Area:
        """A yellow cell of lane B's."""
        n = {"user_says": 5, "prompt": 6}.get(name)
        return Area(LAB, self.settings_row + 1 + SETTINGS.index(name) if n is None else n, TYPED)

    settings_row = 13

    @property
    def restore(self) -> Area:
        return Area(LAB, self.settings_row + 1, 8)

    @property
    def mode(self) -> Area:
        return Area(LAB, self.settings_row + 2, 8)

    @property
    def switches(self) -> Area:
        config = self.layout.config
        return Area(LAB, self.settings_row + 9, 2, config.n_layer, config.n_head + 1)

    @property
    def steering(self) -> Area:
        return Area(LAB, self.switches.last_row + 4, 2, N_STEERING, len(STEERING))

    @property
    def steering_on(self) -> Area:
        return Area(LAB, self.steering.row, 10, N_STEERING)

    @property
    def patches(self) -> Area:
        return Area(LAB, self.steering.last_row + 4, 2, N_PATCHES, len(PATCH))

    @property
    def patch_keys(self) -> Area:
        """What each line comes to: one number, -1 where it is left out."""
        return Area(LAB, self.patches.row, 9, N_PATCHES)

    @property
    def table(self) -> Area:
        """Lane A's ten likeliest tokens, and what lane B makes of them."""
        return Area(LAB, self.patches.last_row + 4, 1, min(10, self.layout.config.n_vocab), 9)

    @property
    def tokens(self) -> Area:
        return Area(LAB, self.table.last_row + 4, 2, 2)

    @property
    def differences(self) -> Area:
        """Of the two tokens' logits: lane A's, lane B's, and B's less A's."""
        return Area(LAB, self.tokens.last_row + 1, 4, 1, 3)

    @property
    def divergence(self) -> Area:
        """KL divergence in bits: from lane B to lane A, and from A to B."""
        return Area(LAB, self.differences.row + 3, 4, 2)

    @cached_property
    def names(self) -> dict[str, list[Area]]:
        layout = self.layout
        found = {"lab_prompt": self.typed("prompt")} if layout.reads_text else {}
        found |= {"lab_user_says": self.typed("user_says")} if layout.chat is not None else {}
        found |= {f"lab_{name}": self.typed(name) for name in SETTINGS}
        found |= {
            "lab_restore": self.restore,
            "lab_mode": self.mode,
            "lab_switches": self.switches,
            "lab_steering": self.steering,
            "lab_patches": self.patches,
            "lab_table": self.table,
            "lab_tokens": self.tokens,
            "lab_difference": self.differences,
            "lab_divergence": self.divergence,
            "lab_message": Area(LAB, 10, TYPED),
        }
        return {name: [area] for name, area in found.items()}

    # Edits

    @property
    def directions(self) -> Area:
        """What each line of steering adds: a column a line, in place of gain and bias."""
        return Area(EDITS, ACTIVE_ROW + 3, GAIN, self.layout.config.n_embd, BIAS - GAIN + 1)

    @cached_property
    def blocks(self) -> list[Bands]:
        config = self.layout.config
        first = Move(self.layout).first
        row = self.directions.last_row + 2
        found = []

        def take(n: int) -> Area:
            nonlocal row
            row += n
            return Area(EDITS, row - n, first, n, self.layout.context)

        for _ in range(config.n_layer):
            row += 1  # a title
            steered, apart = (tuple(take(1) for _ in range(N_STEERING)) for _ in range(2))
            resid_patched, resid = take(1), take(config.n_embd)
            row += 2
            head_patched = tuple(take(1) for _ in range(config.n_head))
            z = take(config.n_embd)
            row += 2
            mlp_patched, mlp = take(1), take(config.n_embd)
            row += 1
            found.append(Bands(steered, apart, resid_patched, resid, head_patched, z, mlp_patched, mlp))
        return found
