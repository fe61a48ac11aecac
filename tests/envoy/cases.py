"""One table of requests for POST /v1/infer: each goes through native HTTP, gRPC and Envoy.

(name, JSON body, HTTP status, gRPC status, exact error or None)
`native` at the end: what native HTTP answers instead, where the two dialects differ and why.
"""

import base64
import math

from harness import TESTDATA, photo

PICTURE = base64.b64encode(photo()).decode()
SMALL = base64.b64encode((TESTDATA / "small.png").read_bytes()).decode()
ROW = [round(math.sin(i), 3) for i in range(20)]
ONE = "; send exactly one of image, image_url and features"

GOOD = [
    ("picture", {"image": PICTURE}),
    ("picture_named", {"image": PICTURE, "model": "efficientnet-lite0", "version": "2"}),
    ("picture_png", {"image": SMALL, "top_k": 1}),
    ("picture_every_class", {"image": PICTURE, "top_k": 1000}),
    ("row", {"features": ROW}),
    ("row_named", {"features": ROW, "model": "random-forest"}),
    ("row_of_integers", {"features": list(range(20))}),
    ("row_of_tiny_numbers", {"features": [1e-30] * 20}),
    ("row_of_zeros", {"features": [0] * 20}),
]

BAD = [
    ("nothing", {}, 400, "INVALID_ARGUMENT", "there is no input" + ONE),
    ("model_alone", {"model": "random-forest"}, 400, "INVALID_ARGUMENT", "there is no input" + ONE),
    ("two_inputs", {"image": SMALL, "features": ROW}, 400, "INVALID_ARGUMENT",
     "there are several inputs" + ONE),
    ("three_inputs", {"image": SMALL, "image_url": "http://x/y", "features": ROW}, 400,
     "INVALID_ARGUMENT", "there are several inputs" + ONE),
    ("too_few_numbers", {"features": ROW[:19]}, 400, "INVALID_ARGUMENT",
     "model 'random-forest' takes 20 features; got 19"),
    ("too_many_numbers", {"features": [*ROW, 1]}, 400, "INVALID_ARGUMENT",
     "model 'random-forest' takes 20 features; got 21"),
    ("no_such_model", {"features": ROW, "model": "none"}, 404, "NOT_FOUND", None),
    ("no_such_version", {"features": ROW, "model": "random-forest", "version": "9"}, 404,
     "NOT_FOUND", None),
    ("model_of_another_task", {"features": ROW, "model": "efficientnet-lite0"}, 400,
     "INVALID_ARGUMENT", None),
    ("long_model", {"features": ROW, "model": "m" * 65}, 400, "INVALID_ARGUMENT", None),
    ("top_k_of_zero", {"image": SMALL, "top_k": 0}, 400, "INVALID_ARGUMENT", None),
    ("top_k_too_large", {"image": SMALL, "top_k": 1001}, 400, "INVALID_ARGUMENT", None),
    ("loopback_url", {"image_url": "http://127.0.0.1/x.jpg"}, 403, "PERMISSION_DENIED", None),
    ("metadata_url", {"image_url": "http://169.254.169.254/latest"}, 403, "PERMISSION_DENIED", None),
    ("file_url", {"image_url": "file:///etc/passwd"}, 400, "INVALID_ARGUMENT", None),
    ("url_without_host", {"image_url": "http://"}, 400, "INVALID_ARGUMENT", None),
]

# gRPC has one code where HTTP has several: a transcoder answers 400 for all of them.
NARROWED = [
    ("no_picture", {"image": base64.b64encode(b"no picture at all").decode()}, 415),
    ("half_a_picture", {"image": base64.b64encode(photo()[:2000]).decode()}, 422),
]
