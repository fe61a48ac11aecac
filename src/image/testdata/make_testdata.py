#!/usr/bin/env python3
"""Makes the pictures of src/image/testdata and what Pillow makes of them.

    python3 -m venv v && v/bin/pip install pillow==12.3.0 numpy==2.4.6 && v/bin/python make_testdata.py

cases.txt has one line per case (columns in its first line); expected.u8 holds the cases' tensors
one after another, uint8 [height, width, channels]. The PNG encoder below is our own because Pillow
writes neither interlaced files nor most bit depths.
"""
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, features

HERE = Path(__file__).resolve().parent
FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "nearest": Image.Resampling.NEAREST,
}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}


def scene(width, height):
    """A picture without symmetry: gradients, a disc, a bar, some texture. float64 [h, w, 4] in 0..1."""
    y, x = np.mgrid[0:height, 0:width]
    u, v = x / (width - 1), y / (height - 1)
    red = 0.2 + 0.8 * u
    green = 0.1 + 0.7 * v + 0.1 * np.sin(9 * u)
    blue = 0.5 + 0.4 * np.cos(7 * u * v)
    disc = (u - 0.3) ** 2 + (v - 0.35) ** 2 < 0.04
    bar = (u > 0.7) & (v > 0.55) & (v < 0.75)
    red, green, blue = (np.where(disc, c, p) for c, p in zip((0.95, 0.9, 0.1), (red, green, blue)))
    red, green, blue = (np.where(bar, c, p) for c, p in zip((0.05, 0.1, 0.3), (red, green, blue)))
    alpha = np.clip(1.3 - 1.2 * u, 0, 1)
    return np.clip(np.stack([red, green, blue, alpha], -1), 0, 1)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def pack_rows(samples, depth):
    """uint16 samples [h, w, c] → scanlines, alternating over the five filters of PNG where it can."""
    height, width, channels = samples.shape
    flat = samples.reshape(height, width * channels)
    if depth == 16:
        rows = flat.astype(">u2").view(np.uint8).reshape(height, -1)
    elif depth == 8:
        rows = flat.astype(np.uint8)
    else:
        bits = ((flat[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(height, -1)
        rows = np.packbits(bits.astype(np.uint8), axis=1)
    step = max(1, channels * depth // 8)
    out = bytearray()
    above = np.zeros(rows.shape[1], np.int32)
    for index, row in enumerate(rows.astype(np.int32)):
        left = np.concatenate([np.zeros(step, np.int32), row])[: row.size]
        corner = np.concatenate([np.zeros(step, np.int32), above])[: row.size]
        kind = index % 5
        guess = left + above - corner
        a, b, c = abs(guess - left), abs(guess - above), abs(guess - corner)
        paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
        predicted = [np.zeros_like(row), left, above, (left + above) // 2, paeth][kind]
        out.append(kind)
        out += ((row - predicted) & 255).astype(np.uint8).tobytes()
        above = row
    return bytes(out)


def png(samples, color, depth, interlace=False, before=(), after=(), idat_size=1 << 30):
    height, width, _ = samples.shape
    data = b""
    if interlace:
        for x0, y0, dx, dy in ADAM7:
            part = samples[y0::dy, x0::dx]
            if part.size:
                data += pack_rows(part, depth)
    else:
        data = pack_rows(samples, depth)
    packed = zlib.compress(data, 9)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlace))
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(before)
    for at in range(0, len(packed), idat_size):
        out += chunk(b"IDAT", packed[at : at + idat_size])
    return out + b"".join(after) + chunk(b"IEND", b"")


def exif_block(orientation, order="<"):
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(order + "HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def over_white(rgba):
    canvas = Image.new("RGB", rgba.size, "white")
    canvas.paste(rgba.convert("RGB"), mask=rgba.getchannel("A"))
    return canvas


def reference(image, case):
    """The tensor as Pillow makes it."""
    size = (case["width"], case["height"])
    how = FILTERS[case["filter"]]
    if case["channels"] == "gray":
        image = image.convert("L")
    width, height = image.size
    if case["resize"] == "crop_then_resize":
        side = round(case["fraction"] * min(width, height))
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize(size, how)
    elif case["resize"] == "resize_then_crop":  # torchvision.transforms.functional
        short = int(max(size) / case["fraction"])
        scaled = [int(short * n / min(width, height)) for n in (width, height)]
        image = image.resize(scaled, how)
        left, top = (int(round((s - t) / 2.0)) for s, t in zip(scaled, size))
        image = image.crop((left, top, left + size[0], top + size[1]))
    elif case["resize"] == "letterbox":
        image = ImageOps.pad(image, size, how, color=(9 if image.mode == "L" else (9, 9, 9)))
    else:
        image = image.resize(size, how)
    array = np.asarray(image).reshape(size[1], size[0], -1)
    return array[:, :, ::-1] if case["channels"] == "bgr" else array


class Cases:
    columns = ["name", "file", "width", "height", "resize", "fraction", "filter", "channels", "tolerance"]

    def __init__(self):
        self.lines, self.expected, self.total = ["# " + " ".join(self.columns)], b"", 0

    def file(self, name, data):
        (HERE / name).write_bytes(data)
        self.total += len(data)
        return name

    def add(self, name, file, image, **changes):
        case = dict(name=name, file=file, width=16, height=16, resize="crop_then_resize",
                    fraction=0.875, filter="bicubic", channels="rgb", tolerance=0)
        case.update(changes)
        image = image if image.mode == "RGB" else image.convert("RGB")
        self.expected += reference(image, case).tobytes()
        self.lines.append(" ".join(str(case[c]) for c in self.columns))

    def finish(self):
        text = ("\n".join(self.lines) + "\n").encode()
        self.file("cases.txt", text)
        self.file("expected.u8", self.expected)
        print(f"{len(self.lines) - 1} cases, {self.total} bytes;", "libjpeg-turbo",
              features.version("libjpeg_turbo"), "libwebp", features.version("webp"))


def png_cases(cases):
    picture = scene(37, 29)
    for color, depths in {GRAY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8),
                          GRAY_ALPHA: (8, 16), RGBA: (8, 16)}.items():
        for depth in depths:
            most = (1 << depth) - 1
            before = []
            if color == PALETTE:
                entries = np.random.default_rng(depth).integers(0, 256, (most + 1, 3), np.uint8)
                samples = np.round(picture[:, :, 1:2] * most).astype(np.uint16)
                shown = Image.fromarray(entries[samples[:, :, 0]])
                before = [chunk(b"PLTE", entries.tobytes())]
            else:
                gray = picture[:, :, :3].mean(-1, keepdims=True)
                source = {GRAY: gray, RGB: picture[:, :, :3], RGBA: picture,
                          GRAY_ALPHA: np.concatenate([gray, picture[:, :, 3:]], -1)}[color]
                samples = np.round(source * most).astype(np.uint16)
                bytes8 = (samples >> 8 if depth == 16 else samples * 255 // most).astype(np.uint8)
                if color in (GRAY, GRAY_ALPHA):
                    bytes8 = np.concatenate([bytes8[:, :, :1]] * 3 + [bytes8[:, :, 1:]], -1)
                shown = Image.fromarray(bytes8)
                shown = over_white(shown) if shown.mode == "RGBA" else shown
            for interlace in (False, True):
                name = f"png_{color}_{depth}{'_adam7' if interlace else ''}"
                data = png(samples, color, depth, interlace, before, idat_size=500)
                cases.add(name, cases.file(name + ".png", data), shown)
    transparency(cases, picture)


def transparency(cases, picture):
    """tRNS: one colour, or an alpha for each palette entry, is transparent."""
    samples = np.round(picture[:, :, :1] * 15).astype(np.uint16)
    shown = (samples[:, :, 0] * 17).astype(np.uint8)
    shown[samples[:, :, 0] == 7] = 255
    data = png(samples, GRAY, 4, before=[chunk(b"tRNS", struct.pack(">H", 7))])
    cases.add("png_trns_gray", cases.file("png_trns_gray.png", data), Image.fromarray(shown))

    samples = np.round(picture[:, :, :3] * 255).astype(np.uint16)
    key = samples[10, 11]
    shown = samples.astype(np.uint8)
    shown[(samples == key).all(-1)] = 255
    data = png(samples, RGB, 8, before=[chunk(b"tRNS", struct.pack(">HHH", *key))])
    cases.add("png_trns_rgb", cases.file("png_trns_rgb.png", data), Image.fromarray(shown))

    entries = np.random.default_rng(1).integers(0, 256, (16, 4), np.uint8)
    samples = np.round(picture[:, :, :1] * 15).astype(np.uint16)
    shown = over_white(Image.fromarray(entries[samples[:, :, 0]]))
    for interlace in (False, True):
        name = f"png_trns_palette{'_adam7' if interlace else ''}"
        data = png(samples, PALETTE, 4, interlace, [
            chunk(b"PLTE", entries[:, :3].tobytes()), chunk(b"tRNS", entries[:, 3].tobytes())])
        cases.add(name, cases.file(name + ".png", data), shown)


def geometry_cases(cases):
    """Every filter with every resize rule, on one picture."""
    picture = np.round(scene(61, 47)[:, :, :3] * 255).astype(np.uint16)
    rng = np.random.default_rng(5)
    picture = np.clip(picture + rng.integers(-9, 10, picture.shape), 0, 255).astype(np.uint16)
    image = Image.fromarray(picture.astype(np.uint8))
    file = cases.file("scene.png", png(picture, RGB, 8))
    small = Image.fromarray(picture[10:19, 20:33].astype(np.uint8))
    small_file = cases.file("small.png", png(picture[10:19, 20:33], RGB, 8))
    for how in FILTERS:
        for rule in ("crop_then_resize", "resize_then_crop", "squash", "letterbox"):
            cases.add(f"{rule}_{how}", file, image, width=24, height=13, resize=rule, filter=how)
        cases.add(f"enlarge_{how}", small_file, small, width=40, height=31, resize="squash", filter=how)
    for rule in ("crop_then_resize", "resize_then_crop", "letterbox"):
        cases.add(f"{rule}_gray", file, image, resize=rule, channels="gray")
        cases.add(f"{rule}_bgr", file, image, resize=rule, channels="bgr")
    cases.add("same_size", file, image, width=61, height=47, resize="squash")
    cases.add("only_rows", file, image, width=61, height=20, resize="squash")
    cases.add("only_columns", file, image, width=20, height=47, resize="squash")
    cases.add("crop_only", file, image, width=41, height=41, fraction=0.875)
    cases.add("whole_short_side", file, image, width=20, height=20, fraction=1.0)
    cases.add("one_pixel", file, image, width=1, height=1)
    cases.add("tall_letterbox", file, image, width=11, height=30, resize="letterbox")
    for orientation in range(1, 9):
        name = f"orientation_{orientation}"
        block = exif_block(orientation, "<" if orientation % 2 else ">")
        where = "before" if orientation in (1, 3, 6, 7) else "after"  # the picture's data
        turned = np.round(scene(23, 17)[:, :, :3] * 255).astype(np.uint16)
        cases.file(name + ".png", png(turned, RGB, 8, **{where: [chunk(b"eXIf", block)]}))
        shown = Image.fromarray(turned.astype(np.uint8))
        shown.getexif()[0x0112] = orientation
        shown = ImageOps.exif_transpose(shown)
        for rule in ("crop_then_resize", "squash", "letterbox", "resize_then_crop"):
            cases.add(f"{name}_{rule}", name + ".png", shown, width=11, height=9, resize=rule)
    for width, height in ((1, 1), (2, 1), (1, 9), (200, 3)):
        tiny = np.round(scene(max(width, 2), max(height, 2))[:height, :width, :3] * 255).astype(np.uint16)
        file = cases.file(f"tiny_{width}x{height}.png", png(tiny, RGB, 8))
        shown = Image.fromarray(tiny.astype(np.uint8))
        for rule in ("crop_then_resize", "resize_then_crop", "squash"):
            cases.add(f"tiny_{width}x{height}_{rule}", file, shown, width=7, height=7, resize=rule)


def encoded(image, **options):
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


def opened(data):
    image = Image.open(io.BytesIO(data))
    image = ImageOps.exif_transpose(image)
    return over_white(image.convert("RGBA")) if image.mode in ("RGBA", "LA", "P") else image.convert("RGB")


def jpeg_cases(cases):
    array = np.round(scene(85, 67)[:, :, :3] * 255).astype(np.uint8)
    image = Image.fromarray(array)
    kinds = {
        "444": dict(subsampling=0), "422": dict(subsampling=1), "420": dict(subsampling=2),
        "progressive": dict(progressive=True, subsampling=2), "rgb": dict(keep_rgb=True),
        "restarts": dict(subsampling=2, restart_marker_blocks=3),
        "optimized": dict(optimize=True),
    }
    for kind, options in kinds.items():
        data = encoded(image, format="JPEG", quality=90, **options)
        cases.add(f"jpeg_{kind}", cases.file(f"jpeg_{kind}.jpg", data), opened(data), tolerance=1)
    data = encoded(image.convert("L"), format="JPEG", quality=90)
    cases.add("jpeg_gray", cases.file("jpeg_gray.jpg", data), opened(data), tolerance=1)
    data = encoded(image.convert("L"), format="JPEG", quality=90, progressive=True)
    cases.add("jpeg_gray_progressive", cases.file("jpeg_gray_progressive.jpg", data), opened(data), tolerance=1)

    ink = np.concatenate([255 - array, array.min(-1, keepdims=True) // 3], -1)
    data = encoded(Image.fromarray(ink, "CMYK"), format="JPEG", quality=95)
    cases.add("jpeg_cmyk", cases.file("jpeg_cmyk.jpg", data), opened(data), tolerance=1)
    at = data.index(b"Adobe") + 11  # the transform byte: 2 says the same numbers are YCCK
    data = data[:at] + b"\x02" + data[at + 1 :]
    cases.add("jpeg_ycck", cases.file("jpeg_ycck.jpg", data), opened(data), tolerance=1)

    small = image.resize((45, 33))
    for orientation in range(1, 9):
        block = b"Exif\0\0" + exif_block(orientation, ">" if orientation % 2 else "<")
        data = encoded(small, format="JPEG", quality=90, subsampling=2, exif=block)
        cases.add(f"jpeg_orientation_{orientation}",
                  cases.file(f"jpeg_orientation_{orientation}.jpg", data), opened(data),
                  width=13, height=10, resize="squash", tolerance=1)
    # large enough for scaled decoding; only compared with the full decode, loosely
    large = Image.fromarray(np.round(scene(641, 479)[:, :, :3] * 255).astype(np.uint8))
    for kind, options in {"420": dict(subsampling=2), "progressive": dict(progressive=True)}.items():
        data = encoded(large, format="JPEG", quality=75, **options)
        cases.add(f"jpeg_large_{kind}", cases.file(f"jpeg_large_{kind}.jpg", data), opened(data), tolerance=1)


def webp_cases(cases):
    rgba = Image.fromarray(np.round(scene(61, 47) * 255).astype(np.uint8))
    rgb = rgba.convert("RGB")
    kinds = {
        "lossy": (rgb, dict(quality=90)), "lossless": (rgb, dict(lossless=True)),
        "lossy_alpha": (rgba, dict(quality=90)), "lossless_alpha": (rgba, dict(lossless=True)),
        "one_frame": (rgb, dict(lossless=True, save_all=True, append_images=[], minimize_size=True)),
    }
    for kind, (image, options) in kinds.items():
        data = encoded(image, format="WEBP", **options)
        cases.add(f"webp_{kind}", cases.file(f"webp_{kind}.webp", data), opened(data), tolerance=0)
    data = encoded(rgb, format="WEBP", quality=90, exif=b"Exif\0\0" + exif_block(6))
    cases.add("webp_orientation_6", cases.file("webp_orientation_6.webp", data), opened(data),
              width=13, height=10, resize="squash")
    frames = [rgba, rgba.transpose(Image.Transpose.ROTATE_180)]
    data = encoded(frames[0], format="WEBP", save_all=True, append_images=frames[1:], lossless=True)
    first = Image.open(io.BytesIO(data))
    cases.add("webp_two_frames", cases.file("webp_two_frames.webp", data), over_white(first.convert("RGBA")))
    # one animation frame, which Pillow writes as a still: the container by hand
    still = encoded(rgb, format="WEBP", lossless=True)[12:]
    size = (60).to_bytes(3, "little") + (46).to_bytes(3, "little")
    frame = bytes(6) + size + (100).to_bytes(3, "little") + b"\0" + still
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + size
    body += b"ANIM" + struct.pack("<I", 6) + b"\xff\xff\xff\xff\0\0"
    body += b"ANMF" + struct.pack("<I", len(frame)) + frame
    data = b"RIFF" + struct.pack("<I", len(body)) + body
    cases.add("webp_single_animation", cases.file("webp_single_animation.webp", data), rgb)


def other_files(cases):
    small = Image.fromarray(np.round(scene(20, 16)[:, :, :3] * 255).astype(np.uint8))
    turned = small.transpose(Image.Transpose.ROTATE_180)
    data = encoded(small, format="PNG", save_all=True, append_images=[turned])
    cases.file("tall.png", png(np.full((8192, 1, 3), 90, np.uint16), RGB, 8))
    cases.add("apng_two_frames", cases.file("apng_two_frames.png", data), small)


def main():
    for old in HERE.iterdir():
        if old.suffix in (".png", ".jpg", ".webp", ".u8", ".txt"):
            old.unlink()
    cases = Cases()
    png_cases(cases)
    geometry_cases(cases)
    jpeg_cases(cases)
    webp_cases(cases)
    other_files(cases)
    cases.finish()


if __name__ == "__main__":
    main()
