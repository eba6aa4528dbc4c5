#!/usr/bin/env python3
"""Makes the captures of the replay cases, all of them this project's own.

usage: make_captures.py [--record]

Without an argument: those that are built here octet by octet, with encoders that share nothing with the data
plane's decoders. --record, as root: those that net-snmp's own snmptrap and snmpinform send, taken down by tcpdump
between two network namespaces.
"""
import ipaddress
import os
import pathlib
import random
import struct
import subprocess
import sys
import time

CASES = pathlib.Path(__file__).resolve().parent / "cases"
OURS, OURS_6 = "10.0.1.254", "2001:db8::fe"
ONE, TWO, THREE, FOUR, FIVE = "10.0.1.1", "10.0.1.2", "10.0.1.3", "2001:db8::4", "10.0.1.5"
NATIVE, SNMP, RELAY = 7410, 162, 7402
MAC_OURS, MAC_ELEMENT = bytes.fromhex("020000000001"), bytes.fromhex("020000000101")
IPV4, IPV6, VLAN, SERVICE_VLAN, ARP, LLDP = 0x0800, 0x86dd, 0x8100, 0x88a8, 0x0806, 0x88cc
TCP, UDP, HOP_BY_HOP, FRAGMENT = 6, 17, 0, 44
CLEARED, MINOR, MAJOR, CRITICAL = 0, 3, 4, 5


# ---- Frames ----

def checksum(octets):
    octets += b"\0" * (len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packed(address):
    return ipaddress.ip_address(address).packed


def udp(source, destination, port, payload, wrong=0, sum_is=None, length=None):
    """wrong: added to the right checksum; sum_is: instead of it."""
    length = 8 + len(payload) if length is None else length
    pseudo = packed(source) + packed(destination)
    pseudo += struct.pack("!BBH" if len(pseudo) == 8 else "!xxHxxxB", *((0, UDP, length) if len(pseudo) == 8
                                                                        else (length, UDP)))
    found = checksum(pseudo + struct.pack("!HHHH", 50000, port, length, 0) + payload) or 0xffff
    found = (found + wrong) & 0xffff if sum_is is None else sum_is
    return struct.pack("!HHHH", 50000, port, length, found) + payload


def ipv4(source, destination, payload, protocol=UDP, wrong=0, fragment=0, words=5, total=None, version=4):
    total = 4 * words + len(payload) if total is None else total
    options = b"\x01" * (4 * words - 20)  # no operation
    head = struct.pack("!BBHHHBBH", version << 4 | words, 0, total, 1, fragment, 64, protocol, 0)
    head += packed(source) + packed(destination) + options
    found = (checksum(head) + wrong) & 0xffff
    return head[:10] + struct.pack("!H", found) + head[12:] + payload


def ipv6(source, destination, payload, following=UDP, length=None):
    length = len(payload) if length is None else length
    return struct.pack("!IHBB", 6 << 28, length, following, 64) + packed(source) + packed(destination) + payload


def ether(ether_type, payload, tags=()):
    """tags: (ether type of the tag, VLAN id)"""
    head = MAC_OURS + MAC_ELEMENT
    for tag_type, vlan in tags:
        head += struct.pack("!HH", tag_type, vlan)
    frame = head + struct.pack("!H", ether_type) + payload
    return frame + b"\0" * (60 - len(frame))


def datagram(source, port, payload, tags=(), **udp_options):
    """A good frame from an element to us, of the family of its address."""
    if ":" in source:
        return ether(IPV6, ipv6(source, OURS_6, udp(source, OURS_6, port, payload, **udp_options)), tags)
    return ether(IPV4, ipv4(source, OURS, udp(source, OURS, port, payload, **udp_options)), tags)


# ---- Native reports: the protobuf encoding of proto/report.proto ----

def varint(value):
    octets = b""
    while value > 0x7f:
        octets += bytes([value & 0x7f | 0x80])
        value >>= 7
    return octets + bytes([value])


def delimited(field, octets):
    return varint(field << 3 | 2) + varint(len(octets)) + octets


def fixed64(field, value):
    return varint(field << 3 | 1) + struct.pack("<Q", value) if value else b""


def metric(number, value):
    return delimited(4, varint(1 << 3 | 5) + struct.pack("<I", number) + varint(2 << 3 | 1) + struct.pack("<d", value))


def alarm(kind, resource, severity, text="", qualifier=""):
    octets = b""
    for field, value in ((1, kind), (2, resource), (3, qualifier), (5, text)):
        if value:
            octets += delimited(field, value.encode())
    return delimited(5, octets + (varint(4 << 3) + varint(severity) if severity else b""))


def report(element, boot, sequence, *parts):
    return delimited(1, fixed64(1, element) + fixed64(2, boot) + fixed64(3, sequence) + b"".join(parts))


def native(source, *reports, **options):
    return datagram(source, NATIVE, b"".join(reports), **options)


# ---- SNMP, only what is damaged or has no sender in net-snmp ----

def ber(tag, octets):
    n = len(octets)
    return bytes([tag]) + (bytes([n]) if n < 128 else bytes([0x82]) + struct.pack("!H", n)) + octets


def oid(dotted):
    numbers = [int(n) for n in dotted.split(".")]
    octets = bytes([40 * numbers[0] + numbers[1]])
    for n in numbers[2:]:
        part = bytes([n & 0x7f])
        while n > 0x7f:
            n >>= 7
            part = bytes([n & 0x7f | 0x80]) + part
        octets += part
    return ber(6, octets)


def trap(notification, bindings=(), community=b"public", version=1, pdu=0xa7):
    listed = ber(0x30, oid("1.3.6.1.2.1.1.3.0") + ber(0x43, b"\x01"))
    listed += ber(0x30, oid("1.3.6.1.6.3.1.1.4.1.0") + oid(notification))
    for name, value in bindings:
        listed += ber(0x30, oid(name) + value)
    body = ber(2, b"\x01") + ber(2, b"\0") + ber(2, b"\0") + ber(0x30, listed)
    return ber(0x30, ber(2, bytes([version])) + ber(4, community) + ber(pdu, body))


LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"


def link_down(interface):
    return trap(LINK_DOWN, [(f"1.3.6.1.2.1.2.2.1.1.{interface}", ber(2, bytes([interface])))])


# ---- The cases ----

def native_packed_for_several_elements():
    """A collector's datagram about itself, two others, and one that nobody knows."""
    return [native(ONE, report(0, 7, 1, metric(1, 0.5), metric(2, 20)),
                   report(2, 7, 1, metric(1, 1.5), alarm("fan-failed", "fan 2", CRITICAL, "stands still", "tray 1")),
                   report(4, 7, 1, metric(9, -3.25)),
                   report(77, 7, 1, metric(1, 1)))]


def native_report_for_another_owner_goes_to_the_relay():
    return [native(ONE, report(3, 7, 1, metric(1, 1))),
            native(ONE, report(3, 7, 2, alarm("fan-failed", "fan 1", MAJOR))),
            native(ONE, report(0, 7, 1, metric(1, 5)), report(3, 7, 3, metric(1, 2)), report(3, 7, 4, metric(1, 3))),
            datagram(THREE, SNMP, link_down(4))]


def an_element_without_an_owner_keeps_its_alarms_waiting():
    return [native(FIVE, report(0, 7, 1, metric(1, 1))),
            native(FIVE, report(0, 7, 2, alarm("fan-failed", "fan 1", MAJOR)))]


def without_a_lease_alarms_wait_and_metrics_are_refused():
    return [native(ONE, report(0, 7, 1, metric(1, 1))),
            native(ONE, report(0, 7, 2, alarm("fan-failed", "fan 1", MAJOR))),
            datagram(TWO, SNMP, link_down(1))]


def vlan_tags():
    body = report(0, 7, 1, metric(1, 1)), report(0, 7, 2, metric(1, 2)), report(0, 7, 3, metric(1, 3))
    return [native(ONE, body[0]),
            native(ONE, body[1], tags=[(VLAN, 100)]),
            native(ONE, body[2], tags=[(SERVICE_VLAN, 200), (VLAN, 100)]),
            native(ONE, report(0, 7, 4, metric(1, 4)), tags=[(VLAN, 1), (VLAN, 2), (VLAN, 3)])]


def ipv6_source():
    inner = udp(FOUR, OURS_6, NATIVE, report(0, 7, 2, metric(1, 2)))
    mapped, late = "::ffff:10.0.1.1", udp("::ffff:10.0.1.1", OURS_6, NATIVE, report(0, 7, 1, metric(1, 1)))
    padding = bytes([UDP, 0, 1, 4, 0, 0, 0, 0])
    return [native(FOUR, report(0, 7, 1, metric(1, 1))),
            ether(IPV6, ipv6(FOUR, OURS_6, padding + inner, HOP_BY_HOP)),
            datagram(FOUR, SNMP, link_down(3)),
            native(FOUR, report(0, 7, 3, metric(1, 3)), sum_is=0),
            ether(IPV6, ipv6(mapped, OURS_6, late))]


def truncated_and_garbage():
    """Each refusal of the frame parser but those of checksums and fragments, then of the decoders."""
    good = udp(ONE, OURS, NATIVE, report(0, 7, 1, metric(1, 1)))
    whole = ether(IPV4, ipv4(ONE, OURS, good))
    frames = [whole[:n] for n in (1, 13, 14, 33, 41)]
    frames += [ether(IPV4, ipv4(ONE, OURS, good, total=len(good) + 2000)),
               ether(IPV4, ipv4(ONE, OURS, good, words=4)[:16] + b"\0" * 60),
               ether(IPV4, ipv4(ONE, OURS, good, version=5)),
               ether(IPV4, ipv4(ONE, OURS, udp(ONE, OURS, NATIVE, b"", length=7))),
               ether(IPV4, ipv4(ONE, OURS, udp(ONE, OURS, NATIVE, b"abc", length=500))),
               ether(IPV6, ipv6(FOUR, OURS_6, b"", length=900)),
               ether(ARP, b"\0\1\x08\0\6\4\0\1" + MAC_ELEMENT + packed(ONE) + b"\0" * 6 + packed(OURS)),
               ether(LLDP, bytes.fromhex("0207040200000001010403056574683006020078") + b"\0\0"),
               ether(IPV4, ipv4(ONE, OURS, b"\0" * 20, protocol=TCP)),
               datagram(ONE, 9999, b"to nobody"),
               datagram(TWO, RELAY, b"no relay message"),
               native(ONE, b"\0" * 4000)]  # longer than a buffer
    frames += [datagram(ONE, NATIVE, payload) for payload in (
        b"",
        delimited(1, fixed64(1, 1))[:-3],
        b"\x08\x01",
        b"\x00\x01",
        b"\xff" * 11,
        report(0, 7, 1, *[metric(n, n) for n in range(17)]),
        report(0, 7, 1, *[alarm("t", str(n), MAJOR) for n in range(9)]),
        delimited(1, b"") * 65,
        varint(3 << 3 | 3) * 17,  # groups in groups
        report(0, 7, 1, alarm("", "a type is missing", MAJOR)),
        report(0, 7, 1, alarm("t", "r", 6)))]
    damaged = bytearray(link_down(1))
    damaged[6] = 0x80  # the community's length: indefinite
    frames += [datagram(ONE, SNMP, payload) for payload in (
        b"", link_down(1)[:-4], bytes(damaged), link_down(1) + b"\0",
        trap(LINK_DOWN, version=9), trap(LINK_DOWN, community=b"private"), trap(LINK_DOWN, pdu=0xa0),
        trap(LINK_DOWN, [("1.3.6.1.2.1.2.2.1.1.1", ber(5, b""))] * 65),
        trap(LINK_DOWN).replace(oid("1.3.6.1.6.3.1.1.4.1.0"), oid("1.3.6.1.6.3.1.1.4.9.0")))]
    return frames


def noise_has_no_effect_but_in_the_counters():
    noise = random.Random(1)
    frames = [datagram(ONE, port, noise.randbytes(noise.randrange(1, 1400))) for port in (NATIVE, SNMP) * 100]
    frames += [noise.randbytes(noise.randrange(14, 200)) for _ in range(100)]
    frames += [ether(kind, noise.randbytes(noise.randrange(46, 200))) for kind in (IPV4, IPV6) * 50]
    return frames


def bad_checksums():
    first, second = report(0, 7, 1, metric(1, 1)), report(0, 7, 2, metric(1, 2))
    return [ether(IPV4, ipv4(ONE, OURS, udp(ONE, OURS, NATIVE, first), wrong=1)),
            native(ONE, first, wrong=1),
            native(FOUR, first, wrong=1),
            native(ONE, first, sum_is=0),
            native(ONE, second)]


def fragments():
    whole = udp(ONE, OURS, NATIVE, report(0, 7, 1, metric(1, 1)))
    later = bytes([UDP, 0]) + struct.pack("!HI", 1 << 3 | 1, 5)
    return [ether(IPV4, ipv4(ONE, OURS, whole[:24], fragment=0x2000)),
            ether(IPV4, ipv4(ONE, OURS, whole[24:], fragment=3)),
            ether(IPV6, ipv6(FOUR, OURS_6, later + b"\0" * 16, FRAGMENT)),
            ether(IPV4, ipv4(ONE, OURS, whole, fragment=0x4000))]  # don't fragment: a whole one


def unknown_sources():
    return [native("10.0.9.1", report(1, 7, 1, metric(1, 1))),
            native("10.0.9.1", report(1, 7, 2, alarm("fan-failed", "fan 1", MAJOR))),
            datagram("2001:db8::99", SNMP, link_down(1)),
            native("10.0.9.2", b"what it says is not looked at")]


def unknown_sources_beyond_the_table():
    return [native(f"10.0.9.{n}", report(1, 7, 1, metric(1, 1))) for n in (1, 2, 3, 1)]


def stale_and_restarted_sequences():
    return [native(ONE, report(0, 7, sequence, metric(1, value))) for sequence, value in
            ((5, 5), (5, 50), (4, 4), (9, 9), (7, 7), (7, 7), (10, 10))] + \
           [native(ONE, report(0, 8, 1, metric(1, 100))),   # it was started again
            native(ONE, report(0, 7, 11, metric(1, 11))),   # one of the time before
            native(ONE, report(0, 8, 2, metric(1, 101)))]


def full_alarm_table():
    def about(sequence, resource, severity):
        return native(ONE, report(0, 7, sequence, alarm("fan-failed", resource, severity)))
    return [about(1, "fan 1", MAJOR), about(2, "fan 2", MAJOR), about(3, "fan 3", MAJOR),
            about(4, "fan 1", CLEARED), about(5, "fan 4", MINOR), about(6, "fan 4", CRITICAL)]


def full_metric_table():
    return [native(ONE, report(0, 7, 1, *[metric(n, n) for n in range(1, 6)])),
            native(ONE, report(0, 7, 2, metric(6, 6))),
            native(ONE, report(0, 7, 3, metric(2, 20)))]


def full_spool():
    return [native(THREE, report(0, 7, n, alarm("fan-failed", f"fan {n}", MAJOR))) for n in (1, 2, 3)]


def more_frames_than_a_burst_of_both_formats():
    """The formats take turns, so a burst that is grouped by format has to put nothing on the wrong element."""
    frames = []
    for n in range(1, 101):
        frames.append(native(ONE, report(0, 7, n, metric(1, n))))
        frames.append(datagram(TWO, SNMP, link_down(1 + n % 3)))
        frames.append(native(FOUR, report(0, 9, 2 * n, metric(1, -n))))
    return frames


BUILT = [native_packed_for_several_elements, native_report_for_another_owner_goes_to_the_relay,
         an_element_without_an_owner_keeps_its_alarms_waiting, without_a_lease_alarms_wait_and_metrics_are_refused,
         vlan_tags, ipv6_source, truncated_and_garbage, noise_has_no_effect_but_in_the_counters, bad_checksums, fragments, unknown_sources,
         unknown_sources_beyond_the_table, stale_and_restarted_sequences, full_alarm_table, full_metric_table, full_spool,
         more_frames_than_a_burst_of_both_formats]


def write(name, frames):
    folder = CASES / name
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "in.pcap", "wb") as out:
        out.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for n, frame in enumerate(frames):
            out.write(struct.pack("=IIII", n, 0, len(frame), len(frame)) + frame)


# ---- Recorded ones ----

DOWN, UP, COLD = "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.6.3.1.1.5.4", "1.3.6.1.6.3.1.1.5.1"
INDEX, DESCR = "1.3.6.1.2.1.2.2.1.1", "1.3.6.1.2.1.2.2.1.2"


def v2c(source, notification, interface, *more):
    return ["snmptrap", f"--clientaddr={source}", "-v2c", "-c", "public", OURS, "", notification,
            f"{INDEX}.{interface}", "i", str(interface), *more]


def v1(source, generic, *bindings):
    return ["snmptrap", f"--clientaddr={source}", "-v1", "-c", "public", OURS, "1.3.6.1.4.1.8072.3.2.10", source,
            str(generic), "0", "", *bindings]


USER = ["-v3", "-u", "operator", "-l", "authPriv", "-a", "SHA", "-A", "replay-auth", "-x", "AES", "-X", "replay-priv",
        "-e", "0x8000000001020304"]

RECORDED = {
    "trap_v1_and_v2c_of_link_down": [
        v1(ONE, 2, f"{INDEX}.7", "i", "7", f"{DESCR}.7", "s", "eth7"),
        v2c(TWO, DOWN, 3, f"{DESCR}.3", "s", "xe-0/0/3")],
    "link_up_clears": [
        v2c(ONE, DOWN, 7), v2c(ONE, DOWN, 8), v2c(ONE, UP, 7), v2c(TWO, UP, 7), v1(ONE, 3, f"{INDEX}.7", "i", "7")],
    "repeats_are_one_alarm": [v2c(ONE, DOWN, 7)] * 5 + [v2c(ONE, UP, 7)] + [v2c(ONE, DOWN, 7)] * 2,
    "unmapped_notification": [
        ["snmptrap", f"--clientaddr={ONE}", "-v2c", "-c", "public", OURS, "", COLD],
        v1(ONE, 6, "1.3.6.1.4.1.8072.2.3.2.1", "i", "1"), v1(ONE, 4)],
    "v3_and_informs": [
        ["snmptrap", f"--clientaddr={ONE}", *USER, OURS, "", DOWN],
        ["snmpinform", f"--clientaddr={ONE}", "-v2c", "-c", "public", "-r", "0", "-t", "0.2", OURS, "", DOWN],
        ["snmpget", f"--clientaddr={TWO}", "-v2c", "-c", "public", "-r", "0", "-t", "0.2", f"{OURS}:162",
         "1.3.6.1.2.1.1.1.0"]],
}


def run(*words, **options):
    return subprocess.run(words, check=True, **options)


def record_one(name, commands, sender, receiver):
    file = CASES / name / "in.pcap"
    file.parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(["ip", "netns", "exec", receiver, "tcpdump", "-i", "taker", "-U", "--immediate-mode", "-Z", "root",
                           "-w", file, "udp", "dst", "port", "162"], stderr=subprocess.PIPE, text=True) as tcpdump:
        while "listening" not in tcpdump.stderr.readline():
            pass
        for command in commands:  # an inform without an answer ends with 1
            subprocess.run(["ip", "netns", "exec", sender, *command, ], stderr=subprocess.DEVNULL, check=False,
                           env={**os.environ, "MIBS": "", "SNMP_PERSISTENT_DIR": "/nonexistent"})
        until = time.monotonic() + 5
        while file.stat().st_size < 24 + 60 * len(commands) and time.monotonic() < until:
            time.sleep(0.05)
        tcpdump.terminate()


def record():
    sender, receiver = f"bwrs{os.getpid()}", f"bwrt{os.getpid()}"
    try:
        run("ip", "netns", "add", sender)
        run("ip", "netns", "add", receiver)
        run("ip", "link", "add", "giver", "netns", sender, "type", "veth", "peer", "name", "taker", "netns", receiver)
        for space, link in ((sender, "giver"), (receiver, "taker")):
            run("ip", "-n", space, "link", "set", link, "up")
        for address in (ONE, TWO):
            run("ip", "-n", sender, "addr", "add", address + "/24", "dev", "giver")
        run("ip", "-n", receiver, "addr", "add", OURS + "/24", "dev", "taker")
        # Else the kernel leaves the UDP checksum to a network card that is not there.
        run("ip", "netns", "exec", sender, "ethtool", "-K", "giver", "tx", "off", stdout=subprocess.DEVNULL)
        for name, commands in RECORDED.items():
            record_one(name, commands, sender, receiver)
    finally:
        for space in (sender, receiver):
            subprocess.run(["ip", "netns", "del", space], check=False)


if __name__ == "__main__":
    if sys.argv[1:] == ["--record"]:
        record()
    elif sys.argv[1:]:
        sys.exit(__doc__)
    for build in BUILT:
        write(build.__name__, build())
