"""What a learner's process may not do, said to the kernel from inside, before the first line of theirs runs.

It may start neither processes nor threads, open no socket, run no program, signal or read no other process, and it
has so much memory, computing time and room for files. None of it can be taken back from inside. Standard library only:
this file lies beside the learner's process.

Why not libseccomp: its Python binding is no package of pip's, and a list of forbidden calls is twenty lines.
"""

import ctypes
import os
import platform
import resource
import struct

MEGABYTE = 1 << 20

#: Calls that are refused, with their numbers on x86-64 and on 64-bit ARM (None: there is no such call).
FORBIDDEN = {
    "fork": (57, None),
    "vfork": (58, None),
    "clone": (56, 220),
    "execve": (59, 221),
    "execveat": (322, 281),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "io_uring_setup": (425, 425),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    # Memory that no limit of this file counts:
    "memfd_create": (319, 279),
    "shmget": (29, 194),
    "msgget": (68, 186),
}
CLONE3 = 435  # to be answered with "no such call", or glibc gives up where it could fall back
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

# Berkeley packet filter: load a word, jump if equal, jump if greater or equal, return.
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _EPERM, _ENOSYS, _KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000


def known_machine() -> bool:
    """Whether this system lets a process give up such calls for good: Linux on the two machines of the table."""
    return platform.system() == "Linux" and platform.machine() in MACHINES


def close_doors() -> None:
    """Refuse the forbidden calls from here on. Raises OSError where the kernel does not take it."""
    column, architecture = MACHINES[platform.machine()]
    calls = [numbers[column] for numbers in FORBIDDEN.values() if numbers[column] is not None]
    program = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    if column == 0:  # the x32 calls, the same again under other numbers
        program += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _EPERM)]
    for number in calls:
        program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _EPERM)]
    program += [(_EQUAL, 0, 1, CLONE3), (_RETURN, 0, 0, _ENOSYS), (_RETURN, 0, 0, _ALLOW)]
    code = b"".join(struct.pack("HBBI", operation, yes, no, value) for operation, yes, no, value in program)

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    held = ctypes.create_string_buffer(code, len(code))
    given = Filter(len(program), ctypes.cast(held, ctypes.c_void_p).value)
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, seccomp, by_filter = 38, 22, 2
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(seccomp, by_filter, ctypes.byref(given), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"the kernel takes no filter of system calls: {os.strerror(number)}")


def used() -> float:
    """Seconds of computing that this process has taken so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def bound(memory: int, seconds: float, file: int) -> None:
    """So many bytes of memory and seconds of computing from now on, and no file longer than ``file`` bytes."""
    if platform.system() == "Linux":
        with open("/proc/self/statm") as counts:
            mapped = int(counts.read().split()[0]) * resource.getpagesize()
        _lower(resource.RLIMIT_AS, mapped + memory)
    _lower(resource.RLIMIT_CPU, int(used() + seconds) + 2)
    _lower(resource.RLIMIT_FSIZE, file)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, 128)


def stage(seconds: float) -> None:
    """The process ends, by the kernel's hand, once it has computed so many seconds more."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    end = int(used() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (end if most == resource.RLIM_INFINITY else min(end, most), most))


def _lower(what: int, to: int) -> None:
    _, most = resource.getrlimit(what)
    to = to if most == resource.RLIM_INFINITY else min(to, most)
    resource.setrlimit(what, (to, to))
