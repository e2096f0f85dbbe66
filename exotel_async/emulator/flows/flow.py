"""A flow: the applets that its start leads to, checked when it is made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import attrs

from exotel_async.emulator.flows.applets import Applet, Next, Transfer


@attrs.frozen
class Flow:
    """A flow by its id, the last part of the `Url` that leads to it.

    Raises ValueError if an exit leads to a name that no applet has, or if two have the same name::

        Flow(926, start=Menu(name="main", text="Press 1", keys={"1": Hangup()}, otherwise="main"))
    """

    id: str = attrs.field(converter=str)
    start: Applet = attrs.field(kw_only=True)
    named: Mapping[str, Applet] = attrs.field(init=False, repr=False, eq=False)
    """The applets that have a name."""

    def __attrs_post_init__(self) -> None:
        named: dict[str, Applet] = {}
        wanted: set[str] = set()
        for applet in self.applets():
            if applet.name and named.setdefault(applet.name, applet) is not applet:
                raise ValueError(f'flow {self.id} has two applets named "{applet.name}"')
            wanted.update(to for to in applet.exits.values() if isinstance(to, str))
        if dangling := wanted - named.keys():
            raise ValueError(f"flow {self.id} has no applet named {', '.join(sorted(dangling))}")
        object.__setattr__(self, "named", named)

    def applets(self) -> Iterator[Applet]:
        """Yield every applet once, from the start on."""
        seen: set[int] = set()
        waiting = [self.start]
        while waiting:
            applet = waiting.pop()
            if id(applet) in seen:
                continue
            seen.add(id(applet))
            yield applet
            waiting += [to for to in applet.exits.values() if isinstance(to, Applet)]

    def follow(self, to: Next) -> Applet | None:
        """Return the applet an exit leads to."""
        return self.named[to] if isinstance(to, str) else to


def find_flow(flows: Collection[Flow], flow_id: str | int) -> Flow | None:
    """Return the flow of that id, if there is one."""
    return next((flow for flow in flows if flow.id == str(flow_id)), None)


def check_flows(flows: Collection[Flow]) -> None:
    """Raise ValueError if two have the same id, or one leads to a flow that is not there."""
    ids = [flow.id for flow in flows]
    if len(set(ids)) < len(ids):
        raise ValueError(f"two flows have one id: {', '.join(sorted(ids))}")
    for flow in flows:
        for applet in flow.applets():
            if isinstance(applet, Transfer) and applet.flow not in ids:
                raise ValueError(f"flow {flow.id} leads to flow {applet.flow}, which is not known")
