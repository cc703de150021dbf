"""Rebuild the WebAssembly kernels of the engine that trains in the page, from resnet_edu/explorers/net/kernels.c.

    python -m venv /tmp/zig && /tmp/zig/bin/pip install ziglang==0.17.1
    /tmp/zig/bin/python tools/kernels.py

The compiler is a package of several hundred MB that nothing else here needs, so the binary is kept beside its
source, as text in kernels-wasm.js, with the hash of the source that it was made from. The same compiler gives the
same bytes.
"""

import base64
import hashlib
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

NET = Path(__file__).parent.parent / "resnet_edu/explorers/net"
SOURCE, TARGET = NET / "kernels.c", NET / "kernels-wasm.js"
# -Os is as fast as -O3 here, for the loops that matter are written out, and its binary is a quarter smaller.
FLAGS = (
    *("--target=wasm32-freestanding", "-Os", "-msimd128", "-mbulk-memory", "-ffp-contract=off", "-nostdlib"),
    *("-Wl,--no-entry", "-Wl,--import-memory", "-Wl,--strip-all", "-Wl,-z,stack-size=4096"),
)


def build() -> bytes:
    """The kernels as a WebAssembly module."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "kernels.wasm"
        subprocess.run([sys.executable, "-m", "ziglang", "cc", *FLAGS, "-o", out, SOURCE], check=True)
        return out.read_bytes()


def script(binary: bytes) -> str:
    """The module as a part of the engine, deflated and in base64.

    >>> script(b"wasm").count("K08szgUA")
    1
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = base64.b64encode(packer.compress(binary) + packer.flush()).decode()
    return (
        "/* Made from kernels.c by tools/kernels.py; not to be edited.\n"
        f" * source {hashlib.sha256(SOURCE.read_bytes()).hexdigest()}\n"
        f" * binary {hashlib.sha256(binary).hexdigest()}\n"
        " */\n"
        'ResnetEdu.net.part("kernels-wasm", function (net) {\n'
        f'  net.WASM = "{packed}";\n'
        "});\n"
    )


if __name__ == "__main__":
    TARGET.write_text(script(build()), encoding="utf-8")
    print(f"{TARGET.name}: {TARGET.stat().st_size:,} bytes")
