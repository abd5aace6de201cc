"""What modes do: the frame, cut into charging and uplinks, and the rate of every device by where it computes."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.binary_offload.types import BinaryOffloadInstance, Modes
from envs.binary_offload.verify import best_frame
from envs.core.drawing import figure_pixels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = 60
_CHARGING, _EDGE, _LOCAL = "#bfbfbf", "#2f6db3", "#e0973a"


class Picture(NamedTuple):
    """What is drawn.

    Attributes:
        rate: Weighted rate of all devices, bit/s.
        charging: Share of the frame that charges.
        uplinks: ``(devices,)`` share of the frame that each device sends.
        rates: ``(devices,)`` weighted rate of each device, bit/s.
    """

    rate: float
    charging: float
    uplinks: NDArray[np.float64]
    rates: NDArray[np.float64]


def picture_of(instance: BinaryOffloadInstance, modes: Modes) -> Picture:
    """Returns the time shares, and the rates that come of them."""
    rate, charging, shares = best_frame(instance, modes)
    uplinks, system = np.array(shares), instance.system
    power = system.harvested * instance.gains
    local = (power * charging / system.computing_efficiency) ** (1.0 / 3.0) / system.cycles_per_bit
    lengths = np.where(uplinks > 0.0, uplinks, 1.0)
    edge = uplinks * system.uplink * np.log1p(power * instance.gains * charging / (lengths * system.noise))
    return Picture(rate, charging, uplinks, instance.weights * np.where(modes.offloads, edge, local))


def frame_text(instance: BinaryOffloadInstance, modes: Modes, *, settled: bool = True) -> str:
    """Draws the frame as a line, C for charging and the last digit of the sending device, and a line a device."""
    picture = picture_of(instance, modes)
    ends = np.round(_COLUMNS * (picture.charging + np.cumsum(picture.uplinks))).astype(int)
    line = "C" * round(_COLUMNS * picture.charging)
    for device, end in enumerate(ends.tolist()):
        line += str(device % 10) * (end - len(line))
    lines = [_title(instance, picture, settled), f"[{line}]"]
    for device, offloads in enumerate(modes.offloads.tolist()):
        bar = "#" * round(30 * picture.rates[device] / picture.rates.max())
        lines.append(f"{device:>3} {'edge ' if offloads else 'local'} gain {instance.gains[device]:.2e} {bar}")
    return "\n".join(lines)


def frame_figure(instance: BinaryOffloadInstance, modes: Modes, *, settled: bool = True) -> Figure:
    """Draws the frame above the weighted rates as a matplotlib figure, which belongs to no pyplot state."""
    from matplotlib.figure import Figure

    picture = picture_of(instance, modes)
    figure = Figure(figsize=(8, 4.5), dpi=100, layout="constrained")
    figure.suptitle(_title(instance, picture, settled), fontsize=10)
    frame, bars = figure.subplots(2, 1, gridspec_kw={"height_ratios": (1, 3)})
    frame.barh(0, picture.charging, color=_CHARGING, edgecolor="white")
    left = picture.charging
    for device, uplink in enumerate(picture.uplinks.tolist()):
        if uplink > 0.0:
            frame.barh(0, uplink, left=left, color=_EDGE, edgecolor="white")
            frame.text(left + uplink / 2, 0, str(device), ha="center", va="center", color="white", fontsize=8)
            left += uplink
    frame.set_xlim(0, 1)
    frame.set_yticks([])
    frame.set_xlabel("share of the frame: charging (grey), uplinks of devices (blue)", fontsize=8)
    colours = [_EDGE if offloads else _LOCAL for offloads in modes.offloads.tolist()]
    bars.bar(range(len(colours)), picture.rates / 1e6, color=colours)
    bars.set_xlabel("device: at the edge (blue), local (orange)", fontsize=8)
    bars.set_ylabel("weighted rate, Mbit/s", fontsize=8)
    return figure


def frame_array(instance: BinaryOffloadInstance, modes: Modes, *, settled: bool = True) -> NDArray[np.uint8]:
    """Draws the same as an ``(height, width, 3)`` uint8 picture of one size."""
    return figure_pixels(frame_figure(instance, modes, settled=settled))


def frame_html(instance: BinaryOffloadInstance, modes: Modes) -> str:
    """Draws frame and rates as an HTML fragment that needs nothing from elsewhere; pointing at a part names it."""
    picture = picture_of(instance, modes)
    parts = [_bar(0.0, 0, 600.0 * picture.charging, _CHARGING, f"charging, {picture.charging:.4f} of the frame")]
    left, top = 600.0 * picture.charging, float(picture.rates.max())
    for device, (uplink, rate) in enumerate(zip(picture.uplinks.tolist(), picture.rates.tolist(), strict=True)):
        offloads = bool(modes.offloads[device])
        told = f"device {device} {'at the edge' if offloads else 'local'}, {rate / 1e6:.4f} Mbit/s weighted"
        if uplink > 0.0:
            parts.append(_bar(left, 0, 600.0 * uplink, _EDGE, f"uplink of device {device}, {uplink:.4f} of the frame"))
            left += 600.0 * uplink
        parts.append(_bar(0.0, 30 + 16 * device, 600.0 * rate / top, _EDGE if offloads else _LOCAL, told, 12))
    summary = html.escape(_summary(instance, picture))
    return (
        f'<figure style="margin:1em 0;font:13px system-ui,sans-serif"><figcaption>{summary}: charging grey, edge blue, '
        f'local orange</figcaption><svg viewBox="0 0 600 {32 + 16 * len(picture.rates)}" '
        f'style="width:100%;height:auto" role="img" aria-label="{summary}">{"".join(parts)}</svg></figure>\n'
    )


def _title(instance: BinaryOffloadInstance, picture: Picture, settled: bool) -> str:
    return _summary(instance, picture) + ("" if settled else ", deciding")


def _bar(x: float, y: int, width: float, colour: str, told: str, height: int = 20) -> str:
    return (
        f'<rect x="{x:.2f}" y="{y}" width="{width:.2f}" height="{height}" fill="{colour}" stroke="white">'
        f"<title>{html.escape(told)}</title></rect>"
    )


def _summary(instance: BinaryOffloadInstance, picture: Picture) -> str:
    return (
        f"{instance.name}: {len(instance.gains)} devices, {int((picture.uplinks > 0.0).sum())} at the edge, "
        f"{picture.rate / 1e6:.4f} Mbit/s weighted"
    )
