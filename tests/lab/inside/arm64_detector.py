"""Does the installed detector see a person in the picture that is given, and nobody in an empty one?"""

import sys
from pathlib import Path

import cv2
import numpy as np

from hallctl.camera.detector import SsdLite
from hallctl.controller.camerajob import find_model


def main() -> None:
    """Fails where it doesn't."""
    path = find_model(None)
    assert path is not None and path.is_relative_to(Path(sys.prefix)), path
    detector = SsdLite(path)
    picture = cv2.imread(sys.argv[1])
    assert picture is not None, sys.argv[1]
    found = detector.detect(picture, 0.5)
    assert len(found) == 1, found
    nobody = detector.detect(np.full_like(picture, 90), 0.5)
    assert nobody == [], nobody


if __name__ == "__main__":
    main()
