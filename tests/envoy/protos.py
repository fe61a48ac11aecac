"""The services' messages and stubs, made from the descriptor set that the build leaves beside the
binary: what is tested is what is shipped to transcoders."""

from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


class Protos:
    def __init__(self, descriptor_set: Path):
        files = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set.read_bytes())
        self.pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self.pool.Add(file)

    def message(self, name):
        """The class of a message, by its full name."""
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))

    def call(self, channel, service, method):
        """A callable for `service`.`method` on `channel`, unary or of streams."""
        found = self.pool.FindServiceByName(service).FindMethodByName(method)
        answer = message_factory.GetMessageClass(found.output_type)
        kind = "stream_stream" if found.client_streaming else "unary_unary"
        return getattr(channel, kind)(f"/{service}/{method}",
                                      request_serializer=lambda m: m.SerializeToString(),
                                      response_deserializer=answer.FromString)


def channel_to(port, **options):
    """A channel with a connection of its own."""
    return grpc.insecure_channel(f"127.0.0.1:{port}",
                                 options=[("grpc.use_local_subchannel_pool", 1), *options.items()])
