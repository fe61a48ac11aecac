#!/usr/bin/env python3
"""Makes the page's example pictures, web/example-*.jpg, from photographs that scikit-image ships.

    "$(scripts/venv.sh models models/requirements.txt)/bin/python" scripts/make_examples.py

The package is taken for its files, which are checked by hash: never installed. NOTICE says who took
the photographs.
"""

import hashlib
import io
import pathlib
import subprocess
import sys
import tempfile
import zipfile

from PIL import Image

# The files are the same in every wheel of this version; this is the one that is downloaded.
PACKAGE = ("scikit-image==0.26.0 --platform manylinux_2_28_x86_64 --python-version 3.11 "
           "--implementation cp --abi cp311")
EXAMPLES = {  # name: (file, its SHA-256, the part that is used: left, top, right, bottom)
    "cat": ("chelsea.png", "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb", None),
    "espresso": ("coffee.png", "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7", None),
    "rocket": ("rocket.jpg", "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c", (200, 100, 500, 300)),
}
WIDTH = 400
MOST_BYTES = 15_000
WEB = pathlib.Path(__file__).resolve().parent.parent / "web"


def wheel(folder):
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check",
                    "--no-deps", "--only-binary=:all:", "-d", folder, *PACKAGE.split()], check=True)
    return next(pathlib.Path(folder).glob("scikit_image-*.whl"))


def small(data, part):
    """The best JPEG of at most WIDTH pixels that fits."""
    with Image.open(io.BytesIO(data)) as photo:
        picture = photo.convert("RGB").crop(part or (0, 0, *photo.size))
    picture.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
    for quality in range(90, 40, -5):
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, optimize=True, progressive=True)
        if out.tell() <= MOST_BYTES:
            return out.getvalue()
    raise SystemExit(f"no JPEG of {WIDTH} pixels fits into {MOST_BYTES} bytes")


def main():
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel(folder)) as archive:
        for name, (source, known, part) in EXAMPLES.items():
            data = archive.read(f"skimage/data/{source}")
            if hashlib.sha256(data).hexdigest() != known:
                raise SystemExit(f"{source} is not the photograph that NOTICE names")
            target = WEB / f"example-{name}.jpg"
            target.write_bytes(small(data, part))
            print(f"{target.name}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
