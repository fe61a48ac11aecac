"""Pictures that say which way up they are, in every place that cameras and editors use, and what Pillow
shows of them.

OUT/orientation/N.{jpg,png,webp}   the pictures
OUT/orientation.u8                 ImageOps.exif_transpose of each, RGB, one after another
"""
import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

WIDTH, HEIGHT = 24, 16
TAG = 0x112
# types of TIFF 6.0 and BigTIFF: number, format of struct
TYPES = {"BYTE": (1, "B"), "ASCII": (2, "B"), "SHORT": (3, "H"), "LONG": (4, "I"), "RATIONAL": (5, "II"),
         "SBYTE": (6, "b"), "UNDEFINED": (7, "B"), "SSHORT": (8, "h"), "SLONG": (9, "i"),
         "SRATIONAL": (10, "ii"), "FLOAT": (11, "f"), "DOUBLE": (12, "d"), "IFD": (13, "I"), "LONG8": (16, "Q")}
XMP = {"attribute": ' tiff:Orientation="%d"/>', "element": "><tiff:Orientation>%d</tiff:Orientation></rdf:Description>"}


def exif(value, kind="SHORT", order="<", before=0):
    number, code = TYPES[kind]
    data = struct.pack(order + code, *((value, 1) if len(code) == 2 else (value,)))
    count = before + 1
    inline = len(data) <= 4
    field = data.ljust(4, b"\0") if inline else struct.pack(order + "I", 8 + 2 + 12 * count + 4)
    other = struct.pack(order + "HHII", 0x100, 3, 1, 0) * before
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, count)
    entry = struct.pack(order + "HHI", TAG, number, 1) + field
    return head + other + entry + b"\0\0\0\0" + (b"" if inline else data)


def directory(*entries):
    """A TIFF block of entries (tag, type, count, four bytes)."""
    return (b"II*\0" + struct.pack("<IH", 8, len(entries))
            + b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries) + bytes(4))


def short(*values):
    return b"".join(struct.pack("<H", value) for value in values).ljust(4, b"\0")


def no_tag():
    return b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x100, 3, 1, 9) + b"\0\0\0\0"


def xmp(value, form):
    return ('<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
            + XMP[form] % value + "</rdf:RDF></x:xmpmeta>").encode()


def raw_profile(name, data):
    digits = data.hex()
    lines = "\n".join(digits[i:i + 72] for i in range(0, len(digits), 72))
    return f"\n{name}\n{len(data):8}\n{lines}\n".encode()


def encoded(kind, **options):
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    pixels = np.stack([x * 10, y * 15, 255 - x * 5 - y * 5], axis=-1).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def jpeg(*segments):
    whole = encoded("JPEG", quality=95, subsampling=0)
    app1 = b"".join(b"\xff\xe1" + struct.pack(">H", len(s) + 2) + s for s in segments)
    return whole[:2] + app1 + whole[2:]


def png(*chunks, after=False):
    whole = encoded("PNG")
    at = len(whole) - 12 if after else 33
    made = b"".join(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
                    for name, body in chunks)
    return whole[:at] + made + whole[at:]


def webp(*chunks, unannounced=False):
    picture = encoded("WEBP", lossless=True)[12:]
    flags = 0 if unannounced else sum({b"EXIF": 8, b"XMP ": 4}[name] for name, _ in chunks)
    header = bytes([flags, 0, 0, 0]) + struct.pack("<I", WIDTH - 1)[:3] + struct.pack("<I", HEIGHT - 1)[:3]

    def chunk(name, body):
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    body = b"WEBP" + chunk(b"VP8X", header) + picture + b"".join(chunk(*c) for c in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def texts(key, value):
    """tEXt, zTXt, iTXt and compressed iTXt of one keyword."""
    key = key.encode()
    yield "tEXt", (b"tEXt", key + b"\0" + value)
    yield "zTXt", (b"zTXt", key + b"\0\0" + zlib.compress(value))
    yield "iTXt", (b"iTXt", key + b"\0\0\0\0\0" + value)
    yield "iTXt-compressed", (b"iTXt", key + b"\0\1\0\0\0" + zlib.compress(value))


def jpegs(n):
    other = n % 8 + 1
    for kind in TYPES:
        for order in "<>":
            yield f"exif-{kind}-{order}", jpeg(b"Exif\0\0" + exif(n, kind, order))
    yield "exif-third", jpeg(b"Exif\0\0" + exif(n, before=2))
    for form in XMP:
        packet = b"http://ns.adobe.com/xap/1.0/\0" + xmp(n, form)
        yield f"xmp-{form}", jpeg(packet)
        yield f"exif-before-xmp-{form}", jpeg(b"Exif\0\0" + exif(other), packet)
        yield f"xmp-{form}-before-exif", jpeg(packet, b"Exif\0\0" + exif(other))
        yield f"xmp-{form}-exif-without-tag", jpeg(b"Exif\0\0" + no_tag(), packet)
        yield f"xmp-{form}-exif-empty", jpeg(b"Exif\0\0", packet)
    yield "out-of-range", jpeg(b"Exif\0\0" + exif(n + 8))
    yield from odd_jpegs(n, n % 8 + 1)


def odd_jpegs(n, other):
    """What editors and half-written files leave: several blocks, several tags, blocks cut short."""
    app, xap = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
    packet = xap + xmp(n, "attribute")
    ours, theirs = (TAG, 3, 1, short(n)), (TAG, 3, 1, short(other))
    outside = (0x10F, 2, 9, struct.pack("<I", 60_000))
    blocks = {
        "twice": (app + exif(n), app + exif(other)), "second-after-none": (app + no_tag(), app + exif(n)),
        "second-after-empty": (app, app + exif(n)), "second-after-no-tiff": (app + b"garbage!", app + exif(n)),
        "no-tiff-and-xmp": (packet, app + b"garbage!"), "no-directory": (packet, app + b"II*\0\xff\0\0\0"),
        "xmp-twice": (packet, xap + xmp(other, "element")), "xmp-then-none": (packet, xap + b"<x/>"),
        "xmp-quoted-otherwise": (packet.replace(b'"', b"'"),), "xmp-spaced": (packet.replace(b'n="', b'n = "'),),
        "xmp-two-digits": (xap + xmp(10 * n + 1, "element"),), "xmp-without-nul": (packet.replace(b"\0", b""),),
        "xmp-zero": (xap + xmp(0, "element"),), "exif-zero-and-xmp": (app + exif(0), packet),
        "tag-twice": (app + directory(ours, theirs),), "tag-of-no-type": (app + directory((TAG, 99, 1, short(n)), theirs),),
        "tag-without-value": (app + directory((TAG, 3, 0, short(n)), theirs),),
        "tag-too-long": (app + directory((TAG, 3, 1000, short(n)), theirs),),
        "two-values": (app + directory((TAG, 3, 2, short(n, other))),),
        "ends-before-tag": (app + directory(outside, ours)[:22], packet), "value-outside": (app + directory(outside, ours), packet),
        "behind-value-outside": (app + directory(ours, outside),), "too-few-entries": (app + directory(ours)[:-4],),
        "prefixed-twice": (app + app + exif(n),), "prefixed-otherwise": (b"Exif\0\xff" + exif(n),),
    }
    for name, segments in blocks.items():
        yield f"odd-{name}", jpeg(*segments)


def pngs(n):
    other = n % 8 + 1
    for after in (False, True):
        place = "-after" if after else ""
        for kind in ("SHORT", "LONG", "SSHORT"):
            yield f"eXIf-{kind}{place}", png((b"eXIf", exif(n, kind)), after=after)
        for name, chunk in texts("Raw profile type exif", raw_profile("exif", b"Exif\0\0" + exif(n))):
            yield f"raw-{name}{place}", png(chunk, after=after)
            yield f"raw-{name}{place}-and-eXIf", png(chunk, (b"eXIf", exif(other)), after=after)
            yield f"raw-{name}{place}-and-eXIf-without-tag", png(chunk, (b"eXIf", no_tag()), after=after)
        for form in XMP:
            for name, chunk in texts("XML:com.adobe.xmp", xmp(n, form)):
                yield f"xmp-{form}-{name}{place}", png(chunk, after=after)
                yield f"xmp-{form}-{name}{place}-and-eXIf", png((b"eXIf", exif(other)), chunk, after=after)
                yield f"xmp-{form}-{name}{place}-and-empty-eXIf", png((b"eXIf", b""), chunk, after=after)


def webps(n):
    other = n % 8 + 1
    yield "exif-unannounced", webp((b"EXIF", exif(n)), unannounced=True)
    yield "xmp-unannounced", webp((b"XMP ", xmp(n, "attribute")), unannounced=True)
    yield "xmp-first", webp((b"XMP ", xmp(n, "attribute")), (b"EXIF", exif(other)))
    for kind in ("SHORT", "LONG", "SSHORT", "SLONG"):
        yield f"exif-{kind}", webp((b"EXIF", exif(n, kind, ">")))
        yield f"exif-{kind}-prefixed", webp((b"EXIF", b"Exif\0\0" + exif(n, kind)))
    for form in XMP:
        yield f"xmp-{form}", webp((b"XMP ", xmp(n, form)))
        yield f"xmp-{form}-and-exif", webp((b"EXIF", exif(other)), (b"XMP ", xmp(n, form)))
        yield f"xmp-{form}-exif-without-tag", webp((b"EXIF", no_tag()), (b"XMP ", xmp(n, form)))


def make(out):
    """Writes the set. @return one entry a picture: name, file, width and height as shown"""
    folder = out / "orientation"
    folder.mkdir(exist_ok=True)
    entries, shown = [], bytearray()
    for suffix, places in (("jpg", jpegs), ("png", pngs), ("webp", webps)):
        for n in range(1, 9):
            for name, data in places(n):
                file = f"orientation/{len(entries)}.{suffix}"
                (out / file).write_bytes(data)
                image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
                shown += image.tobytes()
                entries.append({"name": f"{suffix} {name} {n}", "file": file,
                                "width": image.width, "height": image.height})
    (out / "orientation.u8").write_bytes(bytes(shown))
    return entries
