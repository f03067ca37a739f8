#!/bin/sh
# What stands in a bundle as `batchmark`: starts the program beside it, with those of the bundle's libraries that this host
# lacks. Vulkan's loader and what a driver may ask for lie in lib/host/NAME/, one a folder: a driver gets the host's own
# library wherever there is one. Nothing of the host is changed.
here=$(readlink -f -- "$0") || exit 2
here=${here%/*}

known=$(/sbin/ldconfig -p 2>/dev/null || ldconfig -p 2>/dev/null)

# The host's library of that name, or nothing.
host_library() {
    found=$(printf '%s\n' "$known" | sed -n "/^[[:space:]]*$1 (.*x86-64/s/.* => //p" | sed 1q)
    [ -n "$found" ] && [ -e "$found" ] || found=
    [ -n "$found" ] || for folder in /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu /lib64 /usr/lib64; do
        [ ! -e "$folder/$1" ] || found=$folder/$1
    done
    printf '%s' "$found"
}

newest() {
    grep -ao 'GLIBCXX_3\.4\.[0-9]*' "$1" 2>/dev/null | sort -t . -k 3n | tail -n 1 | sed 's/.*\.//'
}

for folder in "$here"/lib/host/*/; do
    name=${folder%/}
    name=${name##*/}
    [ -z "$(host_library "$name")" ] || continue
    LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}${folder%/}
    export LD_LIBRARY_PATH
done

# The program brings its libstdc++; a driver of a newer host may need the host's, and a process has one.
own=$here/lib/batchmark/shared/libstdc++.so.6
host=$(host_library libstdc++.so.6)
if [ -e "$own" ] && [ -n "$host" ] && [ "$(newest "$host")" -gt "$(newest "$own")" ] 2>/dev/null; then
    LD_PRELOAD=${LD_PRELOAD:+$LD_PRELOAD:}$host
    export LD_PRELOAD
fi
if [ -z "${VK_LAYER_PATH-}" ] && [ -d "$here/lib/layers" ]; then
    VK_LAYER_PATH=$here/lib/layers
    export VK_LAYER_PATH
fi
exec "$here/bin/batchmark" "$@"
