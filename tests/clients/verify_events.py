#!/usr/bin/env python3
"""Verifies what `user-management events export` wrote, from nothing else: verify_events.py EXPORT [HEAD kept elsewhere]..."""
import hashlib, json, sys
SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "time": 8, "option": 1}
def canonical(name, kind, value, salt=None, known=None):  # the bytes of one part of an event
    if kind != "text" and value == "" or known is not None and hashlib.sha256(bytes.fromhex(salt or "") + known.encode()).hexdigest() != value:
        sys.exit(f"{name} isn't what is part of history, or isn't the value whose digest is")
    if kind in SIZES:
        return value.to_bytes(SIZES[kind], "big", signed=kind == "time")
    if kind == "text":
        return len(value.encode()).to_bytes(4, "big") + value.encode()
    return bytes.fromhex(value.split("_")[-1])

lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
if len(lines) < 3 or lines[0].get("format") != "user-management events 1" or "head" not in lines[-1]:
    sys.exit("incomplete: the first or the last line is missing")
seq, previous, heads = lines[0]["first"] - 1, lines[0]["previous_hash"], {":".join(head.split(":")[-2:]) for head in sys.argv[2:]}
begin, older = f"{seq}:{previous}", {head for head in heads if int(head.split(":")[0]) < seq}
kept, begins = heads - older - {begin}, heads | {"0:" + "00" * 32}  # what is yet to be met; where it may begin
for line in lines[1:-1]:
    seq, parts = seq + 1, line["event"]
    digest = hashlib.sha256(b"".join(canonical(*part) for part in parts)).hexdigest()
    if (line["seq"], line["hash"], parts[1], parts[-1]) != (seq, digest, ["seq", "u64", seq], ["previous_hash", "bytes", previous]):
        sys.exit(f"broken at event {seq}: it isn't there, isn't as it was recorded or doesn't stand on the one before")
    trimmed = {f"{parts[-7][2]}:{parts[-6][2]}"} if parts[-8][1:3] == ["u16", 3] else set()
    previous, kept, begins = digest, kept - {f"{seq}:{digest}"}, begins | trimmed
if lines[-1]["events"] != len(lines) - 2 or not lines[-1]["head"].endswith(f":{seq}:{previous}") or kept or begin not in begins:
    sys.exit(f"not the history that was recorded: {kept or 'it ends early, or begins where no trim and no head says'}")
print(f"whole: events {lines[0]['first']} to {seq}, head {lines[-1]['head']}" + f"; {len(older)} of {len(heads)} heads are older" * bool(older))
sys.exit(len(heads) > 0 and older == heads)
