#!/bin/sh
# obtain.sh PYTHON PACKAGE...: installs CuPy and what belongs to it. Where that can't be had, or
# nothing to build the stand-ins with, it prints the reason, one line, and no more is wrong.
python=$1
shift
for tool in g++ objdump nm; do
    command -v $tool > /dev/null || { echo "there is no $tool"; exit; }
done
version=$(g++ -dumpversion | cut -d. -f1)
[ "$version" -ge 12 ] || { echo "g++ is of version $version; 12 is needed, for float16"; exit; }
log=$("$python" -m pip --disable-pip-version-check --quiet install "$@" 2>&1) \
    || echo "pip can't install $*: $(printf '%s' "$log" | grep -v WARNING | tail -1)"
