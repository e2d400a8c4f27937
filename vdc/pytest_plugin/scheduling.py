"""Which process of pytest-xdist runs which scenarios. The only module that knows its schedulers."""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadFileScheduling


class WholeFiles(LoadFileScheduling):  # type: ignore[misc]
    """Gives whole files to workers.

    Its base (of pytest-xdist 3.8) runs again the test that a worker died of, and then waits for ever where that was
    the last one.
    """

    def remove_node(self, node: Any) -> str | None:  # noqa: ANN401 - untyped there
        """Give what a dead worker leaves to others; return the test it died of, if it ran one."""
        units = self.assigned_work.pop(node)
        left = [(unit, test) for unit in units.values() for test, done in unit.items() if not done]
        if not left:
            return None
        unit, crashed = left[0]
        unit[crashed] = True
        self.workqueue.update({file: unit for file, unit in units.items() if not all(unit.values())})
        for other in self.assigned_work:
            self._reschedule(other)
        return str(crashed)

    def _reschedule(self, node: Any) -> None:  # noqa: ANN401 - untyped there
        """Give a worker more to do; one for which there is no more ends after what it has."""
        super()._reschedule(node)
        if not self.workqueue:
            node.shutdown()
