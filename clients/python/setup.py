# SPDX-License-Identifier: Apache-2.0
"""Builds the C client and the binding into one extension module.

There is no pyproject.toml: with one, pip would build a wheel, for which the
setuptools of a fresh venv (Debian 12) need a package more.
"""

import glob
import os
import re

from setuptools import Extension, setup

here = os.path.dirname(os.path.abspath(__file__))
os.chdir(here)
client = os.path.join("..", "c")

with open(os.path.join(client, "ringside.h"), encoding="utf-8") as header:
    version = re.search(r'#define RINGSIDE_VERSION "(.*)"', header.read()).group(1)

setup(
    name="ringside",
    version=version,
    description="Read BPF maps without any privilege",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=["ringside"],
    package_data={"ringside": ["py.typed", "*.pyi"]},
    ext_modules=[
        Extension(
            "ringside._ringside",
            sources=sorted(glob.glob("src/*.c") + glob.glob(os.path.join(client, "src", "*.c"))),
            depends=glob.glob("src/*.h") + glob.glob(os.path.join(client, "src", "*.h")) + [os.path.join(client, "ringside.h")],
            include_dirs=["src", client, os.path.join(client, "src")],
            extra_compile_args=["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-fvisibility=hidden"],
            # Calls stay inside, even if the program has another libringside.
            extra_link_args=["-Wl,-Bsymbolic"],
        )
    ],
)
