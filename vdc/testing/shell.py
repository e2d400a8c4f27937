"""What commands do in pods in memory: those that `vdc.observe.pods` runs, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from vdc.errors import ClusterError
from vdc.observe.pods import EACH_NAME, EACH_PAGE, WRITE
from vdc.observe.volume import APPEND
from vdc.testing.controllers import FakePod
from vdc.testing.traffic import Traffic


class Shell:
    """Runs commands in pods."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def run(self, pod: FakePod, argv: tuple[str, ...]) -> str:
        """Return what a command prints. Raises ClusterError: it fails, or there is no such command."""
        match argv:
            case ("sh", "-c", script, "sh", limit, *urls) if script == EACH_PAGE and int(limit) > 0:
                return "".join(self._page(pod, url) for url in urls)
            case ("sh", "-c", script, "sh", *names) if script == EACH_NAME:
                return "".join(line for name in names for line in self._looked_up(name))
            case ("hostname",):
                return f"{pod.name}\n"
            case _:
                return self._file(pod, argv)

    def _file(self, pod: FakePod, argv: tuple[str, ...]) -> str:
        match argv:
            case ("sh", "-c", script, "sh", path, text) if script == WRITE:
                pod.holder(path)[path] = text
            case ("sh", "-c", script, "sh", path, line) if script == APPEND:
                pod.holder(path)[path] = f"{pod.holder(path).get(path, '')}{line}\n"
            case ("touch", path):
                pod.holder(path).setdefault(path, "")
            case ("rm", "-f", path):
                pod.holder(path).pop(path, None)
            case ("cat", path):
                return self._content(pod, path)
            case _:
                raise ClusterError(f"{argv[0]}: not found")
        return ""

    def _page(self, pod: FakePod, url: str) -> str:
        parts = urlsplit(url)
        return self._traffic.answer(pod.node, str(parts.hostname), parts.port or 80)

    def _looked_up(self, name: str) -> Iterator[str]:
        yield f"? {name}\nServer:\t\t10.64.0.1\nAddress:\t10.64.0.1:53\n\n"
        addresses = self._traffic.named(name)
        yield from (f"Name:\t{name}\nAddress: {address}\n" for address in addresses)
        if not addresses:
            yield f"** server can't find {name}: NXDOMAIN\n"

    def _content(self, pod: FakePod, path: str) -> str:
        if path not in pod.holder(path):
            raise ClusterError(f"cat: can't open '{path}': No such file or directory")
        return pod.holder(path)[path]
