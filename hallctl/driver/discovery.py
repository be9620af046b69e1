"""Finding drivers by entry point: a vendor's driver is a pip package of its own."""

from importlib.metadata import EntryPoint, entry_points

from hallctl.driver.plugin import DriverPlugin
from hallctl.errors import DriverLoadError

GROUP = "hallctl.drivers"


def driver_names() -> tuple[str, ...]:
    """The names of every installed driver, sorted; nothing is imported."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load_driver(name: str) -> DriverPlugin:
    """Import one driver. Raises ``DriverLoadError`` that says which package is at fault and what to install."""
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    if not points:
        known = ", ".join(driver_names()) or "none"
        raise DriverLoadError(f"no driver is called {name!r}", hint=f"installed drivers: {known}")
    if len({point.value for point in points}) > 1:
        values = ", ".join(sorted(point.value for point in points))
        raise DriverLoadError(f"two packages offer a driver called {name!r}", hint=f"uninstall one of: {values}")
    return _import(points[0])


def _import(point: EntryPoint) -> DriverPlugin:
    try:
        plugin = point.load()
    except Exception as exc:  # a vendor's module may raise anything while it is imported
        hint = f"pip install the package that {point.value!r} needs, then start hallctl again"
        raise DriverLoadError(f"driver {point.name!r} can't be imported: {exc!r}", hint=hint) from exc
    if not isinstance(plugin, DriverPlugin):
        raise DriverLoadError(
            f"driver {point.name!r}: {point.value} is a {type(plugin).__name__}, not a DriverPlugin",
            hint="tell the driver's vendor: the entry point must name a hallctl.driver.DriverPlugin",
        )
    return plugin
