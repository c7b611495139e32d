"""What a worker process gives up before it runs a tool's source: limits, files, system calls, the host's namespaces.

Runs inside worker processes only, which load this file by its path: standard library alone, no mentor import. Each step
returns None when it took hold and otherwise why it did not; the steps that hold decide the level of isolation.

What this does not protect against: a bug in the kernel reached through the system calls that stay open (files below the
Python installation, memory, threads, pipes), and load: a tool may keep a core busy up to its time limit.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import resource
import struct
import sys
import sysconfig

LEVELS = ("process", "rlimits", "landlock+seccomp", "namespaces")  # of a worker, weakest first

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 1, 22, 24, 38, 36
EPERM, ENOSYS = 1, 38

# system call: its number on (x86_64, aarch64); None where the architecture has none
FORBIDDEN = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "setpriority": (141, 140),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    "setpgid": (109, 154),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "kcmp": (312, 272),
    # new programs
    "execve": (59, 221),
    "execveat": (322, 281),
    # network
    "socket": (41, 198),
    "connect": (42, 203),
    "accept": (43, 202),
    "accept4": (288, 242),
    "bind": (49, 200),
    "listen": (50, 201),
    # memory outside the limits, and objects that outlive the process
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "userfaultfd": (323, 282),
    # owners, modes, times and attributes of files, which Landlock does not cover
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    # the system
    "mount": (165, 40),
    "umount2": (166, 39),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "syslog": (103, 116),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "personality": (135, 92),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
}
FORKS = {"fork": (57, None), "vfork": (58, None)}
CLONE, CLONE3, KILL, TGKILL, PRLIMIT64 = (56, 220), (435, 435), (62, 129), (234, 131), (302, 261)
FCNTL, IOCTL = (72, 25), (16, 29)
CLONE_THREAD = 0x10000
SIGNAL_FCNTLS = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: a signal to whom one likes
SIGNAL_IOCTLS = (0x8901, 0x8902, 0x5412)  # FIOSETOWN, SIOCSPGRP; TIOCSTI types into a terminal
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the tables, audit number


def libc(result: int, what: str) -> int:
    """Check the result of a C call. Raises OSError when it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(option: int, value: int) -> None:
    libc(LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option}")


def limit_resources(memory_bytes: int, cpu_s: int, sandboxed: bool) -> str | None:
    """Address space, and for sandboxed workers also processor time, threads, files and core dumps."""
    limits = {resource.RLIMIT_AS: memory_bytes, resource.RLIMIT_CORE: 0}
    if sandboxed:
        limits |= {
            resource.RLIMIT_CPU: cpu_s,
            resource.RLIMIT_NPROC: 1024,
            resource.RLIMIT_FSIZE: 0,
            resource.RLIMIT_NOFILE: 64,
        }
    try:
        for which, value in limits.items():
            hard = resource.getrlimit(which)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(which, (value, value))
    except (OSError, ValueError) as error:
        return f"rlimits: {error}"
    return None


def readable_paths() -> list[str]:
    """Return what a worker may read: Python, its packages, shared libraries, time zones and three devices."""
    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    libraries = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", os.path.join(sys.base_prefix, "lib")]
    system = ["/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/dev/null", "/dev/zero", "/dev/urandom"]
    kept: list[str] = []
    for path in sorted({os.path.realpath(path) for path in [*installed, *libraries, *system] if os.path.exists(path)}):
        if not any(path.startswith(above + "/") for above in kept):
            kept.append(path)
    return kept


def restrict_files(paths: list[str]) -> str | None:
    """Landlock: reading below `paths` is all that is left of the file system; TCP and signals to others end too."""
    read_file, read_dir = 1 << 2, 1 << 3
    try:
        abi = libc(LIBC.syscall(444, None, ctypes.c_size_t(0), 1), "landlock")
        actions = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
        attributes = struct.pack("<QQQ", actions, 3, 3)[: 8 if abi < 4 else 16 if abi < 6 else 24]
        ruleset = libc(LIBC.syscall(444, attributes, ctypes.c_size_t(len(attributes)), 0), "landlock_create_ruleset")
        for path in paths:
            target = os.open(path, os.O_PATH | os.O_CLOEXEC)
            allowed = read_file | read_dir if os.path.isdir(path) else read_file
            rule = struct.pack("<Qi", allowed, target)
            libc(LIBC.syscall(445, ruleset, 1, rule, 0), f"landlock_add_rule {path}")
            os.close(target)
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        libc(LIBC.syscall(446, ruleset, 0), "landlock_restrict_self")
        os.close(ruleset)
    except OSError as error:
        return f"landlock: {error.strerror}"
    return None


def restrict_syscalls(may_fork: bool) -> str | None:
    """Seccomp: FORBIDDEN calls fail with EPERM; threads may start.

    Unless `may_fork`, which is for the process that makes the workers, new processes are refused as well and signals
    reach nobody but this process.
    """
    found = ARCHITECTURES.get(platform.machine())
    if found is None or sys.byteorder != "little":
        return f"seccomp: no filter for {platform.machine()}"
    code = refusals(*found, may_fork=may_fork) + _pack(_own_signals(found[0]) if not may_fork else []) + _pack([END])
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    try:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        libc(LIBC.prctl(PR_SET_SECCOMP, 2, ctypes.c_char_p(head), 0, 0), "seccomp filter")
    except OSError as error:
        return f"seccomp: {error.strerror}"
    return None


# Classic BPF: lines of (code, jump if true, jump if false, value) over struct seccomp_data.
Line = tuple[int, int, int, int]
LOAD, EQUAL, AT_LEAST, ANY_BIT, BACK = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, DIE, REFUSE, ABSENT = 0x7FFF0000, 0x80000000, 0x00050000 | EPERM, 0x00050000 | ENOSYS
NUMBER, ARCHITECTURE, FIRST, FIRST_HIGH, SECOND = 0, 4, 16, 20, 24
END = (BACK, 0, 0, ALLOW)


def _pack(lines: list[Line]) -> bytes:
    return b"".join(struct.pack("<HBBI", *line) for line in lines)


@functools.cache
def refusals(column: int, audit: int, may_fork: bool) -> bytes:
    """Build the part of the filter that depends on no process, once before workers are forked."""
    lines = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, audit), (BACK, 0, 0, DIE), (LOAD, 0, 0, NUMBER)]
    lines += [(AT_LEAST, 0, 1, 0x40000000), (BACK, 0, 0, REFUSE)]  # the x32 flavour of every call
    for table in (FORBIDDEN, {} if may_fork else FORKS):
        for name, numbers in table.items():
            call = numbers[column]
            if call is not None and not (may_fork and name == "pidfd_open"):
                lines += [(EQUAL, 0, 1, call), (BACK, 0, 0, REFUSE)]
    if not may_fork:
        lines += [(EQUAL, 0, 1, CLONE3[column]), (BACK, 0, 0, ABSENT)]  # its flags are behind a pointer
        body = [(LOAD, 0, 0, FIRST), (ANY_BIT, 0, 1, CLONE_THREAD), (BACK, 0, 0, ALLOW), (BACK, 0, 0, REFUSE)]
        lines += [(EQUAL, 0, len(body), CLONE[column]), *body]
    body = [(LOAD, 0, 0, FIRST), (EQUAL, 0, 2, 0), (LOAD, 0, 0, FIRST_HIGH), (EQUAL, 1, 0, 0)]
    lines += [(EQUAL, 0, 6, PRLIMIT64[column]), *body, (BACK, 0, 0, REFUSE), (BACK, 0, 0, ALLOW)]  # of itself only
    for control, commands in ((FCNTL, SIGNAL_FCNTLS), (IOCTL, SIGNAL_IOCTLS)):
        body = [(LOAD, 0, 0, SECOND)]
        for command in commands:
            body += [(EQUAL, 0, 1, command), (BACK, 0, 0, REFUSE)]
        lines += [(EQUAL, 0, len(body) + 1, control[column]), *body, (BACK, 0, 0, ALLOW)]
    return _pack(lines)


def prepare() -> None:
    """Make the filter of the workers, so that each of them only adds its own number."""
    if platform.machine() in ARCHITECTURES:
        refusals(*ARCHITECTURES[platform.machine()], may_fork=False)


def _own_signals(column: int) -> list[Line]:
    """Signals to this process alone."""
    lines: list[Line] = []
    for sender in (KILL, TGKILL):
        body = [(LOAD, 0, 0, FIRST), (EQUAL, 0, 1, os.getpid()), (BACK, 0, 0, ALLOW), (BACK, 0, 0, REFUSE)]
        lines += [(EQUAL, 0, len(body), sender[column]), *body]
    return lines


def drop_capabilities() -> None:
    """No privilege is left and none can come back."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    for capability in range(64):
        if LIBC.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            break  # past the last one, or none to drop from
    header, nothing = struct.pack("<Ii", 0x20080522, 0), bytes(24)
    libc(LIBC.capset(header, nothing), "capset")


def leave_namespaces() -> str | None:
    """New user, network, IPC, host name, mount and process namespaces; the next fork is the first process in them."""
    user, rest = 0x10000000, 0x40000000 | 0x08000000 | 0x04000000 | 0x00020000 | 0x20000000
    uid, gid = os.getuid(), os.getgid()
    try:
        libc(LIBC.unshare(user | rest), "unshare")
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    except OSError as error:
        return f"namespaces: {error.strerror}"
    return None


def shrink_root(paths: list[str]) -> str | None:
    """In a mount namespace of its own: a root that holds `paths`, read-only, and nothing else."""
    bind, recursive, private, detach, read_only = 4096, 16384, 1 << 18, 2, struct.pack("<QQQQ", 1 | 2, 0, 0, 0)
    root = next((place for place in ("/mnt", "/srv", "/media", "/opt", "/tmp") if _outside(place, paths)), None)
    if root is None:
        return "mounts: no empty place for a root"
    try:
        _mount(None, "/", None, recursive | private)
        _mount("tmpfs", root, "tmpfs", 2 | 4, "size=64k,mode=755")
        for path in paths:
            inside = root + path
            os.makedirs(inside if os.path.isdir(path) else os.path.dirname(inside), exist_ok=True)
            if not os.path.isdir(path):
                os.close(os.open(inside, os.O_CREAT, 0o644))
            _mount(path, inside, None, bind | recursive)
        for link in ("/lib", "/lib64"):
            if os.path.islink(link) and not os.path.lexists(root + link):
                os.symlink(os.readlink(link), root + link)
        os.chdir(root)
        pivot_root = 155 if platform.machine() == "x86_64" else 41
        libc(LIBC.syscall(pivot_root, b".", b"."), "pivot_root")
        libc(LIBC.umount2(b".", detach), "umount")
        os.chdir("/")
        libc(LIBC.syscall(442, -100, b"/", 0x8000, read_only, ctypes.c_size_t(32)), "mount_setattr")
    except OSError as error:
        return f"mounts: {error.strerror}"
    return None


def _outside(place: str, paths: list[str]) -> bool:
    return os.path.isdir(place) and not any(path == place or path.startswith(place + "/") for path in paths)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    words = [word.encode() if word else None for word in (source, target, kind)]
    libc(LIBC.mount(*words, ctypes.c_ulong(flags), data.encode()), f"mount {target}")
