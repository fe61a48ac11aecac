"""Protobuf's wire format, read without generated code: protobuf.dev/programming-guides/encoding."""


def fields(message):
    """(number, value) of a protobuf message: varints and fixed64 as int, the rest as bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
        elif kind == 1:
            yield key >> 3, int.from_bytes(message[at : at + 8], "little")
            at += 8
        elif kind == 2:
            size = varint()
            assert at + size <= len(message), "a field that is longer than its message"
            yield key >> 3, message[at : at + size]
            at += size
        else:
            raise AssertionError(f"wire type {kind}")


def all_of(message, number):
    return [value for field, value in fields(message) if field == number]
