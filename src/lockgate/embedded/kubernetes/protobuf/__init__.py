"""Kubernetes' protobuf, the default form of most controllers, and the only one of kubectl's typed commands.

A body is the magic ``k8s\\0``, then a `runtime.Unknown`: the type's name and the message. Messages have the same fields
as the JSON form, so everything else here works with JSON: `decode` reads a body as JSON, and `Encoder` writes JSON as
a message. `messages.txt` has the fields of all built-in kinds. It is read at the first request with protobuf.

Users' kinds have no messages, and a cluster neither reads nor writes them as protobuf.

Source: kubernetes.io "API Concepts", "Kubernetes Protobuf encoding"; protobuf.dev "Encoding".
"""

from lockgate.embedded.kubernetes.protobuf.envelope import Encoder, decode, event

__all__ = ["Encoder", "decode", "event"]
