"""Our schema against the one that others compiled: every number, type and label of the calls that are served."""

import dataclasses
import re
import sys
import typing
from pathlib import Path

from osmium_protos.osmium.client import core

SCHEMA = Path(__file__).parents[2] / "crates/dialect-osmium/proto/osmium.proto"
SCALARS = {"uint32", "uint64", "fixed64", "string", "bytes", "bool"}
# What the published schema has and this server passes over, by the name that our schema gives the message.
PASSED_OVER = {
    "SignUp": {"email_verification_token"},
    "UploadedMedia": {"file", "metadata"},
    "SentBotInfo": {"buttons"},
    "EditMessage": {"buttons"},
    "BotInfo": {"buttons"},
    "File": {"metadata"},
    "UserStatus": {"activities"},
}
# Calls, results and updates that are not served are not in our schema.
PARTIAL = {"ClientMessage", "RpcResult", "Update"}


@dataclasses.dataclass
class Field:
    name: str
    type: str
    repeated: bool
    oneof: bool


def parse():
    messages, enums, current, in_oneof = {}, set(), None, False
    for line in SCHEMA.read_text().splitlines():
        line = line.split("//")[0].strip()
        if found := re.fullmatch(r"message (\w+) \{(\})?", line):
            current = messages.setdefault(found[1], {})
        elif found := re.fullmatch(r"enum (\w+) \{", line):
            enums.add(found[1])
            current = None
        elif line.startswith("oneof"):
            in_oneof = True
        elif line == "}":
            in_oneof = False
        elif current is not None and (found := re.fullmatch(r"(optional |repeated )?(\w+) (\w+) = (\d+);", line)):
            label, type, name, number = found.groups()
            current[int(number)] = Field(name, type, label == "repeated ", in_oneof)
    return messages, enums


def message_class(hint):
    if dataclasses.is_dataclass(hint):
        return hint
    return next((found for part in typing.get_args(hint) if (found := message_class(part))), None)


def test_every_number_and_type_is_the_vendors():
    messages, enums = parse()
    differences, seen, ahead = [], set(), [("ClientMessage", core.ClientMessage), ("ServerMessage", core.ServerMessage)]
    while ahead:
        name, theirs = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        fields = {field.metadata["betterproto"].number: field for field in dataclasses.fields(theirs)}
        hints = typing.get_type_hints(theirs, vars(sys.modules[theirs.__module__]))
        for number, ours in messages[name].items():
            if number not in fields:
                differences.append(f"{name}.{ours.name} = {number} is not theirs")
                continue
            their_name, meta = fields[number].name, fields[number].metadata["betterproto"]
            expected = ours.type if ours.type in SCALARS else "enum" if ours.type in enums else "message"
            if their_name.rstrip("_") != ours.name:
                differences.append(f"{name}.{ours.name} = {number} is {their_name}")
            if expected not in str(meta.proto_type).lower():
                differences.append(f"{name}.{ours.name}: {expected} is {meta.proto_type}")
            if ours.repeated != bool(meta.repeated) or ours.oneof != bool(meta.group):
                differences.append(f"{name}.{ours.name}: another label")
            if expected == "message":
                ahead.append((ours.type, message_class(hints[their_name])))
        missing = {field.name for number, field in fields.items() if number not in messages[name]}
        if name not in PARTIAL and missing != PASSED_OVER.get(name, set()):
            differences.append(f"{name}: of theirs {missing} are not ours")
    assert not differences
    assert seen == set(messages), "every message of ours was compared"
