"""GIF and AVIF, and what Pillow shows of them: the first frame, over white, the way up that it says.

OUT/formats/N.{gif,avif}   the pictures
OUT/formats.u8             RGB of each, one after another
"""
import io
import struct

import numpy as np
from orientation import exif, no_tag, xmp
from PIL import Image, ImageOps

WIDTH, HEIGHT = 40, 30


def scene(width=WIDTH, height=HEIGHT):
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 6, y * 8, 255 - x * 3 - y * 4], axis=-1).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def lzw(indices, bits):
    """As a GIF holds them, uncompressed: a clear code before the codes would grow."""
    clear, codes = 1 << bits, []
    for i, value in enumerate(indices):
        if i % (clear - 2) == 0:
            codes.append(clear)
        codes.append(value)
    codes.append(clear + 1)
    number = sum(code << (bits + 1) * i for i, code in enumerate(codes))
    data = number.to_bytes(((bits + 1) * len(codes) + 7) // 8, "little")
    blocks = b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255))
    return bytes([bits]) + blocks + b"\0"


def gif(place, screen=(WIDTH, HEIGHT), colours=16, own=None, transparent=None, interlaced=False, frames=1, end=b";"):
    """A GIF of frames at `place` (x, y, width, height); `own`: its frames have a palette of that size."""
    def palette(count, seed):
        return np.random.default_rng(seed).integers(0, 256, 3 * count, np.uint8).tobytes()

    def flag(count):
        return 0x80 | count.bit_length() - 2 if count else 0

    x, y, width, height = place
    out = b"GIF89a" + struct.pack("<HHBBB", *screen, flag(colours), 3, 0) + palette(colours, 1)
    for n in range(frames):
        if transparent is not None:
            out += b"!\xf9\4" + struct.pack("<BHB", 1, 9, transparent) + b"\0"
        out += b"!\xfe\5hello\0"
        out += b"," + struct.pack("<HHHHB", x, y, width, height, flag(own) | (0x40 if interlaced else 0))
        out += palette(own or 0, 2)
        out += lzw([(a * 3 + b * 5 + n) % 16 for b in range(height) for a in range(width)], 4)
    return out + end


def gifs():
    photo = scene()
    yield "photo", saved(photo, "GIF")
    yield "photo-interlaced", saved(photo.quantize(64), "GIF", interlace=True)
    yield "grey", saved(photo.convert("L"), "GIF")
    yield "bilevel", saved(photo.convert("1"), "GIF")
    yield "animation", saved(photo, "GIF", save_all=True, append_images=[photo.rotate(90), photo.rotate(180)], duration=50)
    whole = (0, 0, WIDTH, HEIGHT)
    yield "whole", gif(whole)
    yield "interlaced", gif(whole, interlaced=True)
    yield "transparent", gif(whole, transparent=3)
    yield "transparent-beyond-palette", gif(whole, transparent=77)
    yield "own-palette", gif(whole, own=32, frames=3)
    yield "only-own-palette", gif(whole, colours=0, own=16)
    yield "no-palette", gif(whole, colours=0)
    yield "short-palette", gif(whole, colours=4)
    yield "no-trailer", gif(whole, end=b"")
    yield "bytes-behind", gif(whole, end=b";and more")
    yield "part", gif((5, 7, 20, 11), frames=2)
    yield "part-own-palette", gif((5, 7, 20, 11), own=16)
    yield "part-transparent", gif((5, 7, 20, 11), transparent=2, interlaced=True)
    yield "part-of-transparent-colour", gif((5, 7, 20, 11), transparent=0, frames=2)
    yield "beyond-screen", gif((30, 20, 20, 21), frames=2)
    yield "beyond-screen-transparent", gif((30, 20, 20, 21), transparent=5)
    for height in (1, 2, 3, 4, 5, 8, 9):
        yield f"interlaced-{height}", gif((0, 0, 17, height), screen=(17, height), interlaced=True)


def avifs():
    photo = scene()
    alpha = photo.copy()
    alpha.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))))
    for subsampling in ("4:4:4", "4:2:2", "4:2:0", "4:0:0"):
        yield f"photo-{subsampling}", saved(photo, "AVIF", quality=90, subsampling=subsampling)
    yield "full-range", saved(photo, "AVIF", quality=90, range="full")
    yield "limited-range", saved(photo, "AVIF", quality=90, range="limited")
    yield "alpha", saved(alpha, "AVIF", quality=90)
    yield "alpha-premultiplied", saved(alpha, "AVIF", quality=90, alpha_premultiplied=True)
    yield "grey", saved(photo.convert("L"), "AVIF", quality=90)
    yield "sequence", saved(photo, "AVIF", save_all=True, append_images=[photo.rotate(180)], quality=90)
    yield "odd", saved(scene(31, 23), "AVIF", quality=90)
    for n in range(1, 9):
        yield f"exif-{n}", saved(photo, "AVIF", quality=90, exif=exif(n))
        yield f"exif-prefixed-{n}", saved(photo, "AVIF", quality=90, exif=b"Exif\0\0" + exif(n))
        yield f"xmp-{n}", saved(photo, "AVIF", quality=90, xmp=xmp(n, "attribute"))
        yield f"xmp-exif-without-tag-{n}", saved(photo, "AVIF", quality=90, exif=no_tag(), xmp=xmp(n, "element"))
        yield f"exif-{n}-and-xmp", saved(photo, "AVIF", quality=90, exif=exif(n), xmp=xmp(n % 8 + 1, "element"))


def shown_as(data):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def make(out):
    """Writes the set. @return one entry a picture: name, file, width and height as shown"""
    folder = out / "formats"
    folder.mkdir(exist_ok=True)
    entries, shown = [], bytearray()
    for suffix, pictures in (("gif", gifs), ("avif", avifs)):
        for name, data in pictures():
            file = f"formats/{len(entries)}.{suffix}"
            (out / file).write_bytes(data)
            image = shown_as(data)
            shown += image.tobytes()
            entries.append({"name": f"{suffix} {name}", "file": file, "width": image.width, "height": image.height})
    (out / "formats.u8").write_bytes(bytes(shown))
    return entries
