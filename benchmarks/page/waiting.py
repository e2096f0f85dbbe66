"""What ten thousand waiting tasks cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import parked, processes
from benchmarks.page.figures import Figure, Figures
from benchmarks.parked import MemoryCase, Parked

if TYPE_CHECKING:
    from benchmarks.page.settings import Settings

_KINDS: Final = (Parked.AIOLIMITER, Parked.ACQUIRE, Parked.CONNECT)


def measure(settings: Settings) -> Figures:
    """Measure CPU and memory, each in a fresh process."""
    number = settings.waiting
    cpu = processes.run(parked.cpu, number)
    kinds = (Parked.FUTURE, *_KINDS)
    memory = dict(
        zip(
            kinds,
            processes.run_all(
                parked.memory,
                [MemoryCase(kind, number, traced=True) for kind in kinds],
                at_once=1,
            ),
            strict=True,
        )
    )
    cpu_unit = "of the CPU of waiting for an asyncio.Event"
    return {
        "tasks": Figure(number, "waiting tasks"),
        "cpu": {
            "ours": Figure(cpu.acquire / cpu.event, cpu_unit),
            "aiolimiter": Figure(cpu.aiolimiter / cpu.event, cpu_unit),
        },
        "memory": {
            kind.name: Figure(
                memory[kind] / memory[Parked.FUTURE], "of the memory of a task that awaits a future"
            )
            for kind in _KINDS
        },
        "connect_bytes": Figure(round(memory[Parked.CONNECT]), "bytes for each dial that waits"),
    }
