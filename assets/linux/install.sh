#!/usr/bin/env bash
# Installs camlens for this user (or under --prefix): the program, its menu entry, icon
# and file types.
#
#   assets/linux/install.sh [--prefix FOLDER] [--uninstall]
#
# The program is target/release/camlens, the one in the downloaded archive, or the one that
# `cargo install --path .` has put on the PATH.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
prefix=$HOME/.local
uninstall=
while [ $# -gt 0 ]; do
    case $1 in
    --prefix) prefix=${2:?--prefix wants a folder}; shift ;;
    --uninstall) uninstall=yes ;;
    *) echo "usage: install.sh [--prefix FOLDER] [--uninstall]" >&2; exit 1 ;;
    esac
    shift
done
share=$prefix/share
files=(
    "$share/applications/camlens.desktop"
    "$share/icons/hicolor/scalable/apps/camlens.svg"
    "$share/icons/hicolor/256x256/apps/camlens.png"
    "$share/mime/packages/camlens.xml"
)

# Caches of menus, icons and file types, where the desktop has them.
refresh() {
    if command -v update-desktop-database >/dev/null; then update-desktop-database -q "$share/applications" || true; fi
    if command -v update-mime-database >/dev/null; then update-mime-database "$share/mime" || true; fi
    if command -v gtk-update-icon-cache >/dev/null; then gtk-update-icon-cache -qtf "$share/icons/hicolor" || true; fi
}

if [ -n "$uninstall" ]; then
    rm -f "${files[@]}" "$prefix/bin/camlens"
    refresh
    echo "camlens is removed from $prefix; settings stay in ${XDG_DATA_HOME:-$HOME/.local/share}/camlens"
    exit
fi

program=
for built in "$here/../../target/release/camlens" "$here/../camlens"; do
    if [ -x "$built" ]; then program=$built; break; fi
done
if [ -n "$program" ]; then
    install -Dm755 "$program" "$prefix/bin/camlens"
    program=$prefix/bin/camlens
elif ! program=$(command -v camlens); then
    echo "There is no program yet. Run: cargo build --release   (or cargo install --path .)" >&2
    exit 1
fi
install -Dm644 "$here/../icon.svg" "${files[1]}"
install -Dm644 "$here/../icon.png" "${files[2]}"
install -Dm644 "$here/camlens.xml" "${files[3]}"
mkdir -p "$(dirname "${files[0]}")"
# By its full path: a desktop need not have the folder on its PATH.
sed "s|^Exec=camlens|Exec=\"$program\"|" "$here/camlens.desktop" >"${files[0]}"
refresh
echo "camlens is installed: $program, and in the menu."
