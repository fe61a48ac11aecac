"""Bad pictures for test_bad_input.py, and how a case is written.

A case is (what is wrong, method, path, Content-Type, body, status, message). The code follows from
the status. Limits: 300,000 bytes of image, 400,000 of JSON; 67,108,864 pixels.
"""

import base64
import json
import struct
import zlib

from harness import TESTDATA, multipart

JSON = "application/json"


NO_IMAGE = "these bytes are not a known image format; accepted are JPEG, PNG, WebP, GIF and AVIF"


CONVERT = "convert it to JPEG or PNG"
HEIC = "convert it to JPEG (an iPhone does so itself with Settings, Camera, Formats, Most Compatible)"


def looks_like(what, advice=""):
    advice = f"{advice}; " if advice else ""
    return f"this is not an accepted image but looks like {what}; {advice}accepted are JPEG, PNG, WebP, GIF and AVIF"


def image(name):
    return (TESTDATA / name).read_bytes()


JPEG = image("jpeg_420.jpg")
PROGRESSIVE = image("jpeg_progressive.jpg")
PNG = image("png_2_8.png")
INTERLACED = image("png_6_8_adam7.png")
WEBP = image("webp_lossy.webp")
LOSSLESS = image("webp_lossless.webp")
B64 = base64.b64encode(JPEG).decode()
ROW = [0.5] * 20


def png_header(width, height, depth=8, color=2):
    """A PNG of which only the header is there."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


def jpeg_header(width, height, components=3):
    """A JPEG that ends after its headers."""
    parts = b"".join(bytes([i + 1, 0x11, 0]) for i in range(components))
    frame = struct.pack(">BHHB", 8, height, width, components) + parts
    scan = bytes([components]) + b"".join(bytes([i + 1, 0]) for i in range(components)) + b"\0?\0"
    return (b"\xff\xd8\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame +
            b"\xff\xda" + struct.pack(">H", len(scan) + 2) + scan)


def webp_header(width, height, flags=0):
    body = b"VP8X" + struct.pack("<I", 10) + bytes([flags, 0, 0, 0])
    body += struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def numbers(values):
    """{"features": [...]} as text, so that it can hold what json.dumps does not write."""
    return b'{"features": [' + b", ".join(values) + b"]}"


def row_with(value, at=3):
    return numbers([b"0.5"] * at + [value] + [b"0.5"] * (19 - at))


def form(*parts):
    return multipart(*parts)[0]


FORM = multipart()[1]
GOOD_PART = ("image", JPEG, "a.jpg")


def predict(what, body, status, message, declared="image/jpeg", query=""):
    return (what, "POST", "/predict" + query, declared, body, status, message)


def predict_json(what, body, status, message, query=""):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (what, "POST", "/predict" + query, JSON, body, status, message)


def predict_form(what, body, status, message, declared=FORM):
    return (what, "POST", "/predict", declared, body, status, message)


def single(what, body, status, message, declared=JSON, query=""):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (what, "POST", "/predict-single" + query, declared, body, status, message)


def batch(what, body, status, message, query=""):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (what, "POST", "/predict-batch" + query, JSON, body, status, message)


def url(what, value, status, message):
    body = value if isinstance(value, bytes) else json.dumps({"url": value}).encode()
    return (what, "POST", "/predict/url", JSON, body, status, message)


def infer(what, body, status, message, query="", method="POST"):
    return (what, method, "/infer" + query, JSON if body else None, body, status, message)


def other(what, method, path, status, message, body=None, declared=None):
    return (what, method, path, declared, body, status, message)


IMAGE_CASES = [
    # --- images as the body
    predict("nothing at all", b"", 400, "the body is empty; send a picture: JPEG, PNG, WebP, GIF or AVIF"),
    predict("one byte", b"\xff", 415, NO_IMAGE),
    predict("text", b"hello, classify this please", 415, looks_like("plain text")),
    predict("blanks", b"   \n", 415, looks_like("blank text")),
    predict("binary junk", bytes(range(128, 256)) * 10, 415, NO_IMAGE),
    predict("zeros", b"\0" * 100, 415, NO_IMAGE),
    predict("a web page", b"<!DOCTYPE html><html><body>404</body></html>", 415, looks_like("HTML", "send the picture, not a page that shows it")),
    predict("SVG", b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415,
            looks_like("SVG", "render it to PNG"), "image/svg+xml"),
    predict("GIF", b"GIF89a\x01\x00\x01\x00" + b"\0" * 20, 422,
            "the GIF cannot be decoded: it is truncated or holds no picture", "image/gif"),
    predict("BMP", b"BM" + b"\0" * 60, 415, looks_like("BMP", CONVERT), "image/bmp"),
    predict("TIFF", b"II*\x00" + b"\0" * 60, 415, looks_like("TIFF", CONVERT), "image/tiff"),
    predict("HEIC", b"\0\0\0\x18ftypheic" + b"\0" * 60, 415, looks_like("HEIC", HEIC)),
    predict("AVIF", b"\0\0\0\x18ftypavif" + b"\0" * 60, 422,
            "the AVIF cannot be decoded: its header is truncated or corrupt"),
    predict("PDF", b"%PDF-1.7\n" + b"\0" * 60, 415, looks_like("PDF", "render the page to PNG or JPEG")),
    predict("ZIP", b"PK\x03\x04" + b"\0" * 60, 415, looks_like("a ZIP archive", "send a picture of it")),
    predict("gzip without Content-Encoding", b"\x1f\x8b\x08" + b"\0" * 60, 415, looks_like("gzip", "send it with Content-Encoding: gzip")),
    predict("JSON declared as JPEG", json.dumps({"image": B64}).encode(), 415, looks_like("JSON", "send it with Content-Type: application/json")),
    predict("base64 without JSON", B64.encode(), 415, looks_like("plain text")),
    predict("a data URL without JSON", b"data:image/jpeg;base64," + B64.encode(), 415,
            looks_like("a data: URL", 'send it as JSON, {"image": "data:…"}')),
    predict("larger than the limit", JPEG + b"\0" * 300_000, 413,
            "the image has 302251 bytes; at most 300000 are accepted (limits.max_body_bytes)"),
    predict("larger than every limit", b"\0" * 400_001, 413,
            "the body has 400001 bytes; accepted are up to 400000 of JSON or a form "
            "(limits.max_json_bytes), 300000 of a picture as it is (limits.max_body_bytes)"),
    # --- broken images
    predict("JPEG of a start marker", b"\xff\xd8\xff", 422,
            "the JPEG cannot be decoded: it is truncated or has no picture data"),
    predict("JPEG cut in its headers", JPEG[:100], 422,
            "the JPEG cannot be decoded: it is truncated or has no picture data"),
    predict("JPEG cut in its tables", JPEG[:300], 422,
            "the JPEG cannot be decoded: it is truncated or has no picture data"),
    predict("JPEG cut in half", JPEG[:len(JPEG) // 2], 422,
            "the JPEG cannot be decoded: it is truncated: about 13 of 67 rows are there"),
    predict("JPEG without scan data", jpeg_header(64, 64), 422,
            "the JPEG cannot be decoded: Quantization table 0x00 was not defined"),
    predict("JPEG of no width", jpeg_header(0, 64), 422, "the picture's width or height is 0"),
    predict("JPEG of no height", jpeg_header(64, 0), 422, "the picture's width or height is 0"),
    predict("JPEG with zeros inside", JPEG[:200] + b"\0" * 400, 422,
            "the JPEG cannot be decoded: it is truncated or has no picture data"),
    predict("progressive JPEG cut", PROGRESSIVE[:len(PROGRESSIVE) // 3], 422,
            "the JPEG cannot be decoded: it is truncated in or after scan 3, which has about 13 of 67 rows"),
    predict("JPEG bomb", jpeg_header(65535, 65535), 413,
            "the picture is 65535 x 65535 pixels; at most 16384 a side are accepted (limits.max_side)"),
    predict("JPEG bomb without a scan", jpeg_header(65535, 65535)[:-14], 413,
            "the picture is 65535 x 65535 pixels; at most 16384 a side are accepted (limits.max_side)"),
    predict("JPEG of too many pixels", jpeg_header(10000, 10000), 413,
            "the picture is 10000 x 10000 pixels; at most 67108864 in all are accepted (limits.max_pixels)"),
    predict("PNG of a signature", PNG[:8], 422,
            "the PNG cannot be decoded: it does not begin with a whole IHDR chunk"),
    predict("PNG cut in its header", PNG[:20], 422,
            "the PNG cannot be decoded: it does not begin with a whole IHDR chunk"),
    predict("PNG cut in half", PNG[:len(PNG) // 2], 422,
            "the PNG cannot be decoded: it is truncated: about 14 of 29 rows are there"),
    predict("PNG without its last bytes", PNG[:-20], 422,
            "the PNG cannot be decoded: it is truncated"),
    predict("PNG without the last checksum", PNG[:-13], 422,
            "the PNG cannot be decoded: it is truncated"),
    predict("interlaced PNG cut", INTERLACED[:len(INTERLACED) // 2], 422,
            "the PNG cannot be decoded: it is truncated in pass 6 of 7 (interlaced)"),
    predict("PNG with a wrong check sum", PNG[:30] + bytes([PNG[30] ^ 255]) + PNG[31:], 422,
            "the PNG cannot be decoded: a chunk of it is corrupt"),
    predict("PNG with corrupt data", PNG[:60] + b"\x55" * 30 + PNG[90:], 422,
            "the PNG cannot be decoded: IDAT stream error"),
    predict("PNG of no width", png_header(0, 10), 422, "the picture's width or height is 0"),
    predict("PNG of an unknown colour type", png_header(10, 10, color=5), 422,
            "the PNG cannot be decoded: invalid color type"),
    predict("PNG of an unknown depth", png_header(10, 10, depth=7), 422,
            "the PNG cannot be decoded: invalid bit depth"),
    predict("PNG of a header alone", png_header(10, 10), 422,
            "the PNG cannot be decoded: it is truncated"),
    predict("PNG bomb", png_header(2**31 - 1, 2**31 - 1), 413,
            "the picture is 2147483647 x 2147483647 pixels; at most 16384 a side are accepted (limits.max_side)"),
    predict("PNG of too many pixels", png_header(10000, 10000), 413,
            "the picture is 10000 x 10000 pixels; at most 67108864 in all are accepted (limits.max_pixels)"),
    predict("PNG too wide", png_header(20000, 1), 413,
            "the picture is 20000 x 1 pixels; at most 16384 a side are accepted (limits.max_side)"),
    predict("WebP of a RIFF header", WEBP[:12], 422, "the WebP cannot be decoded: it is truncated"),
    predict("WebP cut in its header", WEBP[:24], 422,
            "the WebP cannot be decoded: its header is truncated or corrupt"),
    predict("WebP cut in half", WEBP[:len(WEBP) // 2], 422,
            "the WebP cannot be decoded: it is truncated: about 0 of 47 rows are there"),
    predict("lossless WebP cut", LOSSLESS[:len(LOSSLESS) // 2], 422,
            "the WebP cannot be decoded: it is truncated: about 16 of 47 rows are there"),
    predict("WebP with corrupt data", WEBP[:40] + b"\xff" * 200 + WEBP[240:], 422,
            "the WebP cannot be decoded: it is truncated: about 0 of 47 rows are there"),
    predict("WebP of a header alone", webp_header(64, 64), 422,
            "the WebP cannot be decoded: its header is truncated or corrupt"),
    predict("WebP bomb", webp_header(16384, 16384), 413,
            "the picture is 16384 x 16384 pixels; at most 67108864 in all are accepted (limits.max_pixels)"),
    predict("RIFF that is no WebP", b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 30, 415, NO_IMAGE),
    # --- options of /predict
    predict("top_k of 0", JPEG, 400,
            "top_k is '0'; it must be an integer from 1 to 1000", query="?top_k=0"),
    predict("negative top_k", JPEG, 400,
            "top_k is '-1'; it must be an integer from 1 to 1000", query="?top_k=-1"),
    predict("too large a top_k", JPEG, 400,
            "top_k is '1001'; it must be an integer from 1 to 1000", query="?top_k=1001"),
    predict("huge top_k", JPEG, 400,
            "top_k is '99999999999999999999'; it must "
            "be an integer from 1 to 1000", query="?top_k=99999999999999999999"),
    predict("fractional top_k", JPEG, 400,
            "top_k is '2.5'; it must be an integer from 1 to 1000", query="?top_k=2.5"),
    predict("top_k in words", JPEG, 400,
            "top_k is 'five'; it must be an integer from 1 to 1000", query="?top_k=five"),
    predict("empty top_k", JPEG, 400,
            "top_k is ''; it must be an integer from 1 to 1000", query="?top_k="),
    predict("top_k without a value", JPEG, 400,
            "top_k is ''; it must be an integer from 1 to 1000", query="?top_k"),
    predict("top_k twice", JPEG, 400,
            "query parameter 'top_k' is given twice; accepted "
            "once each are: model, version, top_k, thumbnail", query="?top_k=1&top_k=2"),
    predict("unknown parameter", JPEG, 400,
            "unknown query parameter 'topk'; accepted are: model, version, top_k, thumbnail", query="?topk=5"),
    predict("another unknown parameter", JPEG, 400,
            "unknown query parameter 'verbose'; accepted are: model, "
            "version, top_k, thumbnail", query="?verbose=1"),
    predict("unknown model", JPEG, 404,
            "no model 'resnet' is served; there are: "
            "efficientnet-lite0, random-forest, simulated", query="?model=resnet"),
    predict("unknown version", JPEG, 404,
            "model 'efficientnet-lite0' has no version '9' that is "
            "served; there are: 2", query="?version=9"),
    predict("a version that is not served", JPEG, 404,
            "model 'efficientnet-lite0' has no version '1' that is "
            "served; there are: 2", query="?version=1"),
    predict("version in words", JPEG, 404,
            "model 'efficientnet-lite0' has no version 'latest' "
            "that is served; there are: 2", query="?version=latest"),
    predict("a model of another task", JPEG, 400,
            "model 'random-forest' is for "
            "tabular-classification, this request is for "
            "image-classification or object-detection; ask it at /predict-single", query="?model=random-forest"),
    predict("path as model", JPEG, 404,
            "no model '../../etc/passwd' is served; there "
            "are: efficientnet-lite0, random-forest, simulated", query="?model=../../etc/passwd"),
    predict("very long model", JPEG, 400,
            "model is 65 characters long; it must be at most "
            "64 printable characters", query="?model=" + "m" * 65),
    predict("control character in the model", JPEG, 400,
            "model holds a control character; it must be at most 64 "
            "printable characters", query="?model=a%0ab"),
    predict("bad escape", JPEG, 400,
            "the query holds the bad escape '%zz'; a '%' is written %25", query="?model=%zz"),
    predict("cut escape", JPEG, 400,
            "the query holds the bad escape '%4'; a '%' is written %25", query="?model=%4"),
    predict("NUL in the query", JPEG, 400, "the query holds a NUL character", query="?model=%00"),
    predict("query that is not UTF-8", JPEG, 400, "the query is not UTF-8", query="?model=%ff%fe"),
    predict("too many parameters", JPEG, 400,
            "the query has more than "
            "32 parameters", query="?" + "&".join(f"a{i}=1" for i in range(33))),
    # --- images in JSON
    predict_json("nothing as JSON", b"", 400,
                 "the body is empty; send a picture: JPEG, PNG, WebP, GIF or AVIF"),
    predict_json("cut JSON", b'{"image": "', 400,
                 "the body is not valid JSON at byte 10: a string without its closing quote"),
    predict_json("no object", b'"' + B64.encode() + b'"', 400,
                 'the body is not a JSON object; it must be one such as {"image": "<base64>"}'),
    predict_json("an array", b"[]", 400,
                 'the body is not a JSON object; it must be one such as {"image": "<base64>"}'),
    predict_json("null", b"null", 400,
                 'the body is not a JSON object; it must be one such as {"image": "<base64>"}'),
    predict_json("empty object", {}, 400,
                 "the field 'image' is missing; send {\"image\": \"<base64>\"}"),
    predict_json("wrong field name", {"img": B64}, 400,
                 "unknown field 'img'; did you mean 'image'?"),
    predict_json("URL field", {"url": "https://example.com/a.jpg"}, 400,
                 "unknown field 'url'; accepted are: image, model, version, top_k"),
    predict_json("image of null", {"image": None}, 400,
                 "image is null; it must be a string of base64"),
    predict_json("image of a number", {"image": 5}, 400,
                 "image is 5; it must be a string of base64"),
    predict_json("image of an array", {"image": [B64]}, 400,
                 "image is an array; it must be a string of base64"),
    predict_json("image of an object", {"image": {"b64": B64}}, 400,
                 "image is an object; it must be a string of base64"),
    predict_json("empty image", {"image": ""}, 400,
                 "image is empty; it must be the base64 of an image's bytes"),
    predict_json("no base64", {"image": "not base64!"}, 400,
                 "image is not base64: '!' at offset 10"),
    predict_json("base64 of one character", {"image": "A"}, 400,
                 "image is not base64: the text ends inside a byte at offset 1"),
    predict_json("base64 with wrong padding", {"image": "AAAA=AAA"}, 400,
                 "image is not base64: padding in the wrong place at offset 4"),
    predict_json("base64 with half its padding", {"image": "AA="}, 400,
                 "image is not base64: the padding is incomplete at offset 3"),
    predict_json("base64 of text", {"image": base64.b64encode(b"hello").decode()}, 415,
                 looks_like("plain text")),
    predict_json("base64 of half a JPEG", {"image": B64[:len(B64) // 8 * 4]}, 422,
                 "the JPEG cannot be decoded: it is truncated: about 13 of 67 rows are there"),
    predict_json("a data URL that is not base64", {"image": "data:image/svg+xml,<svg/>"}, 400,
                 "image is a data: URL without ';base64,'; send data:image/jpeg;base64,…"),
    predict_json("an empty data URL", {"image": "data:image/jpeg;base64,"}, 400,
                 "image is empty; it must be the base64 of an image's bytes"),
    predict_json("a URL as image", {"image": "https://example.com/a.jpg"}, 400,
                 "image is a URL; it must be base64; URLs go to /predict/url as the field 'url'"),
    predict_json("image twice", b'{"image": "AAAA", "image": "BBBB"}', 400,
                 "the field 'image' is given twice"),
    predict_json("top_k of a string", {"image": B64, "top_k": "5"}, 400,
                 "top_k is a string; it must be an integer from 1 to 1000"),
    predict_json("top_k of 0 in JSON", {"image": B64, "top_k": 0}, 400,
                 "top_k is 0; it must be an integer from 1 to 1000"),
    predict_json("fractional top_k in JSON", {"image": B64, "top_k": 1.5}, 400,
                 "top_k is 1.5; it must be an integer from 1 to 1000"),
    predict_json("version of 0", {"image": B64, "version": 0}, 400,
                 "version is 0; it must be a string or a positive integer"),
    predict_json("version of true", {"image": B64, "version": True}, 400,
                 "version is true; it must be a string or a positive integer"),
    predict_json("model of a number", {"image": B64, "model": 3}, 400,
                 "model is 3; it must be a string of at most 64 characters"),
    predict_json("unknown model in JSON", {"image": B64, "model": "resnet"}, 404,
                 "no model 'resnet' is served; there are: efficientnet-lite0, "
                 "random-forest, simulated"),
    predict_json("JSON larger than the limit", {"image": "A" * 400_000}, 413,
                 "the body has 400013 bytes; accepted are up to 400000 of JSON or a form "
            "(limits.max_json_bytes), 300000 of a picture as it is (limits.max_body_bytes)"),
    # --- images in forms
    predict_form("nothing as a form", b"", 400,
                 "the body is empty; send a picture: JPEG, PNG, WebP, GIF or AVIF"),
    predict_form("no boundary parameter", form(GOOD_PART), 400,
                 "Content-Type multipart/form-data has no boundary "
                 "parameter", "multipart/form-data"),
    predict_form("an empty boundary", form(GOOD_PART), 400,
                 "the multipart boundary is ''; it "
                 "must be 1 to 70 characters of RFC 2046", 'multipart/form-data; boundary=""'),
    predict_form("another boundary", form(GOOD_PART), 400,
                 "the form does not hold its boundary 'xyz'", "multipart/form-data; boundary=xyz"),
    predict_form("a long boundary", form(GOOD_PART), 400,
                 "the multipart boundary is "
                 "'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…'; it must be 1 to 70 "
                 "characters of RFC 2046",
                 "multipart/form-data; boundary=" + "b" * 71),
    predict_form("no parts", form(), 400, "the form holds no image; send it as the part 'image'"),
    predict_form("no image", form(("top_k", b"3", None)), 400,
                 "the form holds no image; send it as the part 'image'"),
    predict_form("an empty image", form(("image", b"", "a.jpg")), 400,
                 "the form part 'image' is empty; it must hold the bytes of an image"),
    predict_form("an unknown field", form(GOOD_PART, ("topk", b"3", None)), 400,
                 "unknown form part 'topk'; did you mean 'top_k'?"),
    predict_form("top_k twice in a form", form(GOOD_PART, ("top_k", b"3", None),
                                               ("top_k", b"4", None)), 400,
                                               "the form part 'top_k' is given twice"),
    predict_form("top_k in words in a form", form(GOOD_PART, ("top_k", b"all", None)), 400,
                 "top_k is 'all'; it must be an integer from 1 to 1000"),
    predict_form("a form cut short", form(GOOD_PART)[:-30], 400,
                 "the form ends without its closing delimiter; it was cut short"),
    predict_form("bare line feeds", form(GOOD_PART).replace(b"\r\n", b"\n"), 400,
                 "lines of a multipart form must end in CR LF, not in LF alone"),
    predict_form("a part without a name", form(GOOD_PART).replace(b'; name="image"', b""), 400,
                 'form part 1 has no name; send Content-Disposition: form-data; name="image"'),
    predict_form("a part that is no form-data",
                 form(GOOD_PART).replace(b"form-data;", b"attachment;"), 400,
                      "form part 1 has Content-Disposition 'attachment'; it must be form-data"),
    predict_form("a part in base64", form(GOOD_PART).replace(
        b"Content-Type: image/jpeg", b"Content-Transfer-Encoding: base64"), 400,
        "form part 1 has Content-Transfer-Encoding 'base64'; send the bytes as they are"),
    predict_form("too many parts", form(*[(f"p{i}", b"x", None) for i in range(65)]), 400,
                 "the form has more than 64 parts"),
    predict_form("text as image", form(("image", b"hello", "a.jpg")), 415,
                 looks_like("plain text")),
]
