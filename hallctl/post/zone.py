"""The zone of a post: a polygon in fractions of the picture."""

from collections.abc import Sequence

Point = tuple[float, float]


def contains(zone: Sequence[Point], point: Point) -> bool:
    """Whether the point lies in the polygon (even-odd rule; a point on the border may count either way)."""
    x, y = point
    inside = False
    for (x1, y1), (x2, y2) in zip(zone, [*zone[1:], zone[0]], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            inside = not inside
    return inside


def bounds(zone: Sequence[Point]) -> tuple[float, float, float, float]:
    """The polygon's bounding box: left, top, right, bottom."""
    xs, ys = [x for x, _ in zone], [y for _, y in zone]
    return min(xs), min(ys), max(xs), max(ys)
