"""The table of test_bad_input.py: what a stranger may send, and the exact answer.

A case is (what is wrong, method, path, Content-Type, body, status, message). The code follows from
the status. Limits: 300,000 bytes of image, 400,000 of JSON; 50,000,000 pixels.
"""

import base64
import json
import struct
import zlib

from harness import TESTDATA, multipart

JSON = "application/json"


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


CASES = [
    # --- images as the body
    predict("nothing at all", b"", 0, ""),
    predict("one byte", b"\xff", 0, ""),
    predict("text", b"hello, classify this please", 0, ""),
    predict("blanks", b"   \n", 0, ""),
    predict("binary junk", bytes(range(128, 256)) * 10, 0, ""),
    predict("zeros", b"\0" * 100, 0, ""),
    predict("a web page", b"<!DOCTYPE html><html><body>404</body></html>", 0, ""),
    predict("SVG", b'<svg xmlns="http://www.w3.org/2000/svg"/>', 0, "", "image/svg+xml"),
    predict("GIF", b"GIF89a\x01\x00\x01\x00" + b"\0" * 20, 0, "", "image/gif"),
    predict("BMP", b"BM" + b"\0" * 60, 0, "", "image/bmp"),
    predict("TIFF", b"II*\x00" + b"\0" * 60, 0, "", "image/tiff"),
    predict("HEIC", b"\0\0\0\x18ftypheic" + b"\0" * 60, 0, ""),
    predict("AVIF", b"\0\0\0\x18ftypavif" + b"\0" * 60, 0, ""),
    predict("PDF", b"%PDF-1.7\n" + b"\0" * 60, 0, ""),
    predict("ZIP", b"PK\x03\x04" + b"\0" * 60, 0, ""),
    predict("gzip without Content-Encoding", b"\x1f\x8b\x08" + b"\0" * 60, 0, ""),
    predict("JSON declared as JPEG", json.dumps({"image": B64}).encode(), 0, ""),
    predict("base64 without JSON", B64.encode(), 0, ""),
    predict("a data URL without JSON", b"data:image/jpeg;base64," + B64.encode(), 0, ""),
    predict("text/plain", JPEG, 0, "", "text/plain"),
    predict("application/xml", JPEG, 0, "", "application/xml"),
    predict("larger than the limit", JPEG + b"\0" * 300_000, 0, ""),
    predict("larger than every limit", b"\0" * 400_001, 0, ""),
    # --- broken images
    predict("JPEG of a start marker", b"\xff\xd8\xff", 0, ""),
    predict("JPEG cut in its headers", JPEG[:100], 0, ""),
    predict("JPEG cut in its tables", JPEG[:300], 0, ""),
    predict("JPEG cut in half", JPEG[:len(JPEG) // 2], 0, ""),
    predict("JPEG without scan data", jpeg_header(64, 64), 0, ""),
    predict("JPEG of no width", jpeg_header(0, 64), 0, ""),
    predict("JPEG of no height", jpeg_header(64, 0), 0, ""),
    predict("JPEG with zeros inside", JPEG[:200] + b"\0" * 400, 0, ""),
    predict("progressive JPEG cut", PROGRESSIVE[:len(PROGRESSIVE) // 3], 0, ""),
    predict("JPEG bomb", jpeg_header(65535, 65535), 0, ""),
    predict("JPEG of too many pixels", jpeg_header(10000, 10000), 0, ""),
    predict("PNG of a signature", PNG[:8], 0, ""),
    predict("PNG cut in its header", PNG[:20], 0, ""),
    predict("PNG cut in half", PNG[:len(PNG) // 2], 0, ""),
    predict("PNG without its last bytes", PNG[:-20], 0, ""),
    predict("interlaced PNG cut", INTERLACED[:len(INTERLACED) // 2], 0, ""),
    predict("PNG with a wrong check sum", PNG[:30] + bytes([PNG[30] ^ 255]) + PNG[31:], 0, ""),
    predict("PNG with corrupt data", PNG[:60] + b"\x55" * 30 + PNG[90:], 0, ""),
    predict("PNG of no width", png_header(0, 10), 0, ""),
    predict("PNG of an unknown colour type", png_header(10, 10, color=5), 0, ""),
    predict("PNG of an unknown depth", png_header(10, 10, depth=7), 0, ""),
    predict("PNG of a header alone", png_header(10, 10), 0, ""),
    predict("PNG bomb", png_header(2**31 - 1, 2**31 - 1), 0, ""),
    predict("PNG of too many pixels", png_header(10000, 10000), 0, ""),
    predict("PNG too wide", png_header(20000, 1), 0, ""),
    predict("WebP of a RIFF header", WEBP[:12], 0, ""),
    predict("WebP cut in its header", WEBP[:24], 0, ""),
    predict("WebP cut in half", WEBP[:len(WEBP) // 2], 0, ""),
    predict("lossless WebP cut", LOSSLESS[:len(LOSSLESS) // 2], 0, ""),
    predict("WebP with corrupt data", WEBP[:40] + b"\xff" * 200 + WEBP[240:], 0, ""),
    predict("WebP of a header alone", webp_header(64, 64), 0, ""),
    predict("WebP bomb", webp_header(16384, 16384), 0, ""),
    predict("RIFF that is no WebP", b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 30, 0, ""),
    predict("animated WebP", image("webp_two_frames.webp"), 0, "", "image/webp"),
    predict("animated PNG", image("apng_two_frames.png"), 0, "", "image/png"),
    # --- options of /predict
    predict("top_k of 0", JPEG, 0, "", query="?top_k=0"),
    predict("negative top_k", JPEG, 0, "", query="?top_k=-1"),
    predict("too large a top_k", JPEG, 0, "", query="?top_k=1001"),
    predict("huge top_k", JPEG, 0, "", query="?top_k=99999999999999999999"),
    predict("fractional top_k", JPEG, 0, "", query="?top_k=2.5"),
    predict("top_k in words", JPEG, 0, "", query="?top_k=five"),
    predict("empty top_k", JPEG, 0, "", query="?top_k="),
    predict("top_k without a value", JPEG, 0, "", query="?top_k"),
    predict("top_k twice", JPEG, 0, "", query="?top_k=1&top_k=2"),
    predict("unknown parameter", JPEG, 0, "", query="?topk=5"),
    predict("another unknown parameter", JPEG, 0, "", query="?verbose=1"),
    predict("unknown model", JPEG, 0, "", query="?model=resnet"),
    predict("unknown version", JPEG, 0, "", query="?version=9"),
    predict("a version that is not served", JPEG, 0, "", query="?version=1"),
    predict("version in words", JPEG, 0, "", query="?version=latest"),
    predict("a model of another task", JPEG, 0, "", query="?model=random-forest"),
    predict("path as model", JPEG, 0, "", query="?model=../../etc/passwd"),
    predict("very long model", JPEG, 0, "", query="?model=" + "m" * 65),
    predict("control character in the model", JPEG, 0, "", query="?model=a%0ab"),
    predict("bad escape", JPEG, 0, "", query="?model=%zz"),
    predict("cut escape", JPEG, 0, "", query="?model=%4"),
    predict("NUL in the query", JPEG, 0, "", query="?model=%00"),
    predict("query that is not UTF-8", JPEG, 0, "", query="?model=%ff%fe"),
    predict("too many parameters", JPEG, 0, "", query="?" + "&".join(f"a{i}=1" for i in range(33))),
    # --- images in JSON
    predict_json("nothing as JSON", b"", 0, ""),
    predict_json("cut JSON", b'{"image": "', 0, ""),
    predict_json("no object", b'"' + B64.encode() + b'"', 0, ""),
    predict_json("an array", b"[]", 0, ""),
    predict_json("null", b"null", 0, ""),
    predict_json("empty object", {}, 0, ""),
    predict_json("wrong field name", {"img": B64}, 0, ""),
    predict_json("URL field", {"url": "https://example.com/a.jpg"}, 0, ""),
    predict_json("image of null", {"image": None}, 0, ""),
    predict_json("image of a number", {"image": 5}, 0, ""),
    predict_json("image of an array", {"image": [B64]}, 0, ""),
    predict_json("image of an object", {"image": {"b64": B64}}, 0, ""),
    predict_json("empty image", {"image": ""}, 0, ""),
    predict_json("no base64", {"image": "not base64!"}, 0, ""),
    predict_json("base64 of one character", {"image": "A"}, 0, ""),
    predict_json("base64 with wrong padding", {"image": "AAAA=AAA"}, 0, ""),
    predict_json("base64 with half its padding", {"image": "AA="}, 0, ""),
    predict_json("base64 of text", {"image": base64.b64encode(b"hello").decode()}, 0, ""),
    predict_json("base64 of half a JPEG", {"image": B64[:len(B64) // 8 * 4]}, 0, ""),
    predict_json("a data URL that is not base64", {"image": "data:image/svg+xml,<svg/>"}, 0, ""),
    predict_json("an empty data URL", {"image": "data:image/jpeg;base64,"}, 0, ""),
    predict_json("a URL as image", {"image": "https://example.com/a.jpg"}, 0, ""),
    predict_json("image twice", b'{"image": "AAAA", "image": "BBBB"}', 0, ""),
    predict_json("top_k of a string", {"image": B64, "top_k": "5"}, 0, ""),
    predict_json("top_k of 0 in JSON", {"image": B64, "top_k": 0}, 0, ""),
    predict_json("fractional top_k in JSON", {"image": B64, "top_k": 1.5}, 0, ""),
    predict_json("version of 0", {"image": B64, "version": 0}, 0, ""),
    predict_json("version of true", {"image": B64, "version": True}, 0, ""),
    predict_json("model of a number", {"image": B64, "model": 3}, 0, ""),
    predict_json("unknown model in JSON", {"image": B64, "model": "resnet"}, 0, ""),
    predict_json("JSON larger than the limit", {"image": "A" * 400_000}, 0, ""),
    # --- images in forms
    predict_form("nothing as a form", b"", 0, ""),
    predict_form("no boundary parameter", form(GOOD_PART), 0, "", "multipart/form-data"),
    predict_form("an empty boundary", form(GOOD_PART), 0, "", 'multipart/form-data; boundary=""'),
    predict_form("another boundary", form(GOOD_PART), 0, "", "multipart/form-data; boundary=xyz"),
    predict_form("a long boundary", form(GOOD_PART), 0, "",
                 "multipart/form-data; boundary=" + "b" * 71),
    predict_form("another multipart", form(GOOD_PART), 0, "", "multipart/mixed; boundary=b"),
    predict_form("no parts", form(), 0, ""),
    predict_form("no image", form(("top_k", b"3", None)), 0, ""),
    predict_form("an empty image", form(("image", b"", "a.jpg")), 0, ""),
    predict_form("two images", form(GOOD_PART, ("file", JPEG, "b.jpg")), 0, ""),
    predict_form("an unknown field", form(GOOD_PART, ("topk", b"3", None)), 0, ""),
    predict_form("top_k twice in a form", form(GOOD_PART, ("top_k", b"3", None),
                                               ("top_k", b"4", None)), 0, ""),
    predict_form("top_k in words in a form", form(GOOD_PART, ("top_k", b"all", None)), 0, ""),
    predict_form("a form cut short", form(GOOD_PART)[:-30], 0, ""),
    predict_form("bare line feeds", form(GOOD_PART).replace(b"\r\n", b"\n"), 0, ""),
    predict_form("a part without a name", form(GOOD_PART).replace(b'; name="image"', b""), 0, ""),
    predict_form("a part that is no form-data",
                 form(GOOD_PART).replace(b"form-data;", b"attachment;"), 0, ""),
    predict_form("a part in base64", form(GOOD_PART).replace(
        b"Content-Type: image/jpeg", b"Content-Transfer-Encoding: base64"), 0, ""),
    predict_form("too many parts", form(*[(f"p{i}", b"x", None) for i in range(17)]), 0, ""),
    predict_form("text as image", form(("image", b"hello", "a.jpg")), 0, ""),
    # --- /predict-single
    single("no body", b"", 0, ""),
    single("blank body", b" \n ", 0, ""),
    single("broken JSON", b"{", 0, ""),
    single("a lone brace", b"}", 0, ""),
    single("words", b"features=1,2,3", 0, ""),
    single("single quotes", b"{'features': [1]}", 0, ""),
    single("a comment", b'{"features": [1] /* one */}', 0, ""),
    single("a trailing comma", b'{"features": [1,]}', 0, ""),
    single("a comma before the brace", b'{"features": [1],}', 0, ""),
    single("two objects", b'{"features": [1]} {}', 0, ""),
    single("text after the object", b'{"features": [1]}x', 0, ""),
    single("a byte order mark", b'\xef\xbb\xbf{"features": [1]}', 0, ""),
    single("UTF-16", '{"features": [1]}'.encode("utf-16-le"), 0, ""),
    single("bytes that are not UTF-8", b'{"features\xff": [1]}', 0, ""),
    single("a control character in a string", b'{"model": "a\nb"}', 0, ""),
    single("a lone surrogate", b'{"model": "\\ud800"}', 0, ""),
    single("a NUL", b'{"features": [1\0]}', 0, ""),
    single("an array as body", [1, 2, 3], 0, ""),
    single("a number as body", b"42", 0, ""),
    single("a string as body", b'"features"', 0, ""),
    single("no fields", {}, 0, ""),
    single("features of null", {"features": None}, 0, ""),
    single("features of a number", {"features": 5}, 0, ""),
    single("features of a string", {"features": "1,2,3"}, 0, ""),
    single("features of an object", {"features": {"a": 1}}, 0, ""),
    single("no features", {"features": []}, 0, ""),
    single("19 features", {"features": ROW[:19]}, 0, ""),
    single("21 features", {"features": [*ROW, 1]}, 0, ""),
    single("one feature", {"features": [1]}, 0, ""),
    single("instances instead", {"instances": [ROW]}, 0, ""),
    single("misspelt", {"feature": ROW}, 0, ""),
    single("upper case", {"Features": ROW}, 0, ""),
    single("unknown field", {"features": ROW, "debug": True}, 0, ""),
    single("features twice", b'{"features": [1], "features": [2]}', 0, ""),
    single("nested features", {"features": [ROW]}, 0, ""),
    single("a string among numbers", row_with(b'"0.5"'), 0, ""),
    single("null among numbers", row_with(b"null"), 0, ""),
    single("true among numbers", row_with(b"true"), 0, ""),
    single("an object among numbers", row_with(b"{}"), 0, ""),
    single("an array among numbers", row_with(b"[]"), 0, ""),
    single("NaN", row_with(b"NaN"), 0, ""),
    single("nan", row_with(b"nan"), 0, ""),
    single("Infinity", row_with(b"Infinity"), 0, ""),
    single("-Infinity", row_with(b"-Infinity"), 0, ""),
    single("more than a float holds", row_with(b"3.5e38"), 0, ""),
    single("more than a double holds", row_with(b"1e999"), 0, ""),
    single("a very long integer", row_with(b"9" * 400), 0, ""),
    single("a plus sign", row_with(b"+1"), 0, ""),
    single("a leading zero", row_with(b"01"), 0, ""),
    single("hexadecimal", row_with(b"0x10"), 0, ""),
    single("a dot without digits", row_with(b"1."), 0, ""),
    single("a number without digits", row_with(b"-"), 0, ""),
    single("two numbers without a comma", row_with(b"1 2"), 0, ""),
    single("a decimal comma", b'{"features": [0,5; 1,5]}', 0, ""),
    single("deep arrays", b'{"features": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 0, ""),
    single("deep objects", b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 0, ""),
    single("deep in an unknown field", b'{"x": ' + b"[" * 2000 + b"]" * 2000 + b"}", 0, ""),
    single("too many numbers", {"features": [1] * 70_000}, 0, ""),
    single("unknown model", {"features": ROW, "model": "xgboost"}, 0, ""),
    single("unknown version", {"features": ROW, "version": "7"}, 0, ""),
    single("an image model", {"features": ROW, "model": "efficientnet-lite0"}, 0, ""),
    single("the simulated model", {"features": ROW, "model": "simulated"}, 0, ""),
    single("top_k in the query", {"features": ROW}, 0, "", query="?top_k=1"),
    single("unknown model in the query", {"features": ROW}, 0, "", query="?model=x"),
    single("a picture", JPEG, 0, "", "image/jpeg"),
    single("a form", form(GOOD_PART), 0, "", FORM),
    single("CSV", b"1,2,3", 0, "", "text/csv"),
    single("XML", b"<features/>", 0, "", "application/xml"),
    # --- /predict-batch
    batch("no batch body", b"", 0, ""),
    batch("no instances", {}, 0, ""),
    batch("features instead", {"features": ROW}, 0, ""),
    batch("empty instances", {"instances": []}, 0, ""),
    batch("an empty row", {"instances": [[]]}, 0, ""),
    batch("a flat row", {"instances": ROW}, 0, ""),
    batch("a row of null", {"instances": [ROW, None]}, 0, ""),
    batch("a row of an object", {"instances": [{"features": ROW}]}, 0, ""),
    batch("rows of different length", {"instances": [ROW, ROW[:19]]}, 0, ""),
    batch("rows of 19", {"instances": [ROW[:19]] * 2}, 0, ""),
    batch("a string in the second row", {"instances": [ROW, [*ROW[:7], "x", *ROW[8:]]]}, 0, ""),
    batch("NaN in the second row", {"instances": [ROW, [float("nan")] * 20]}, 0, ""),
    batch("rows too deep", {"instances": [[ROW]]}, 0, ""),
    batch("too many rows", b'{"instances": [' + b"[1]," * 70_000 + b"[1]]}", 0, ""),
    batch("too large a number in a row", b'{"instances": [[1e39]]}', 0, ""),
    # --- /predict/url
    url("no URL", b"{}", 0, ""),
    url("URL body empty", b"", 0, ""),
    url("URL of null", None, 0, ""),
    url("URL of a number", 5, 0, ""),
    url("empty URL", "", 0, ""),
    url("no scheme", "example.com/a.jpg", 0, ""),
    url("a path", "/etc/passwd", 0, ""),
    url("file", "file:///etc/passwd", 0, ""),
    url("FTP", "ftp://example.com/a.jpg", 0, ""),
    url("gopher", "gopher://example.com/", 0, ""),
    url("data", "data:image/png;base64,AAAA", 0, ""),
    url("no host", "http:///a.jpg", 0, ""),
    url("credentials", "http://user:pass@example.com/a.jpg", 0, ""),
    url("blanks", "http://example.com/a b.jpg", 0, ""),
    url("line break", "http://example.com/\r\nHost: x", 0, ""),
    url("another port", "http://example.com:22/", 0, ""),
    url("no port", "http://example.com:99999/", 0, ""),
    url("loopback", "http://127.0.0.1/", 0, ""),
    url("loopback in decimal", "http://2130706433/", 0, ""),
    url("loopback in octal", "http://0177.0.0.1/", 0, ""),
    url("loopback in hexadecimal", "http://0x7f000001/", 0, ""),
    url("loopback in short", "http://127.1/", 0, ""),
    url("localhost", "http://localhost/", 0, ""),
    url("IPv6 loopback", "http://[::1]/", 0, ""),
    url("IPv4 in IPv6", "http://[::ffff:127.0.0.1]/", 0, ""),
    url("private", "http://10.0.0.1/", 0, ""),
    url("metadata", "http://169.254.169.254/latest/meta-data/", 0, ""),
    url("CGNAT", "http://100.64.0.1/", 0, ""),
    url("multicast", "http://224.0.0.1/", 0, ""),
    url("any address", "http://0.0.0.0/", 0, ""),
    url("a service of the cluster", "http://kubernetes.default.svc/", 0, ""),
    url("a long URL", "http://example.com/" + "a" * 3000, 0, ""),
    url("image field", json.dumps({"image": B64}).encode(), 0, ""),
    # --- /infer
    infer("negative cpu_ms", b"", 0, "", "?cpu_ms=-1"),
    infer("too much cpu_ms", b"", 0, "", "?cpu_ms=60001"),
    infer("cpu_ms in words", b"", 0, "", "?cpu_ms=fast"),
    infer("cpu_ms of NaN", b"", 0, "", "?cpu_ms=nan"),
    infer("cpu_ms of infinity", b"", 0, "", "?cpu_ms=inf"),
    infer("empty cpu_ms", b"", 0, "", "?cpu_ms="),
    infer("cpu_ms with a unit", b"", 0, "", "?cpu_ms=20ms"),
    infer("bad cpu_ms by GET", None, 0, "", "?cpu_ms=-1", "GET"),
    infer("unknown parameter of /infer", b"", 0, "", "?cpu=20"),
    infer("cpu_ms of a string", b'{"cpu_ms": "20"}', 0, ""),
    infer("negative cpu_ms in JSON", b'{"cpu_ms": -1}', 0, ""),
    infer("huge cpu_ms in JSON", b'{"cpu_ms": 1e300}', 0, ""),
    infer("unknown field of /infer", b'{"ms": 20}', 0, ""),
    infer("broken JSON for /infer", b"{", 0, ""),
    infer("unknown simulated model", b"", 0, "", "?model=nothing"),
    infer("a model that is not simulated", b"", 0, "", "?model=random-forest"),
    infer("more work than the deadline", b"", 0, "", "?cpu_ms=59000"),
    # --- paths and methods
    other("unknown path", "GET", "/nothing", 0, ""),
    other("misspelt path", "POST", "/predict_single", 0, "", b"{}", JSON),
    other("upper case path", "GET", "/Health", 0, ""),
    other("path with a slash at its end", "GET", "/livez/", 0, ""),
    other("path with two slashes", "GET", "//livez", 0, ""),
    other("path with dots", "GET", "/../livez", 0, ""),
    other("path that is escaped", "GET", "/%6civez", 0, ""),
    other("path with markup", "GET", "/<script>alert(1)</script>", 0, ""),
    other("very long path", "GET", "/" + "a" * 500, 0, ""),
    other("admin path on the public port", "POST", "/v1/reload", 0, "", b""),
    other("metrics on the public port", "GET", "/metrics", 0, ""),
    other("GET of /predict", "GET", "/predict", 0, ""),
    other("GET of /predict-single", "GET", "/predict-single", 0, ""),
    other("PUT to /predict", "PUT", "/predict", 0, "", JPEG, "image/jpeg"),
    other("DELETE of /infer", "DELETE", "/infer", 0, ""),
    other("POST to /health", "POST", "/health", 0, "", b"{}", JSON),
    other("PATCH of /", "PATCH", "/", 0, "", b"{}", JSON),
]
