"""make bench: Holdfast against its peers and its goals in one run on one machine, the servers on one core, the load on the other.

Every figure is a ratio to something measured in the same rounds, because absolute times of a shared machine mean nothing.
Rounds go through what is compared in turn; the ratio printed is the median of the rounds' ratios.
Usage: run.py BUILD [--quick] [--large] [PART…], all parts when none is named; --large copies databases of 1 GiB instead of 64 MiB."""
import os
import sys

import bearer
import branches
import foundation
import identity
import proposals
import row_security
import sign_ins
import table

PARTS = {"foundation": foundation, "bearer": bearer, "policies": row_security, "proposals": proposals, "branches": branches, "sign-ins": sign_ins, "identity": identity}


def main():
    build, *names = [a for a in sys.argv[1:] if a not in ("--quick", "--large")]
    unknown = [n for n in names if n not in PARTS]
    if unknown:
        sys.exit(f"there is no part {unknown[0]}; the parts are {', '.join(PARTS)}")
    for name, part in PARTS.items():
        if not names or name in names:
            part.measure(os.path.abspath(build))
    table.save(os.path.abspath(build))


if __name__ == "__main__":
    main()
