# Sourced by the other scripts in this folder: starts a display and a program on it, and inspects
# what it shows. Sets `scratch`; screenshots go to `shots`.

scratch=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$scratch" 2>/dev/null || true' EXIT
name=$(basename "$0" .sh)

say() { echo "$name: $1"; }

fail() {
    echo "$name: $1" >&2
    import -window root "$shots/failed.png" 2>/dev/null || true
    cat "$scratch"/log* >&2 || true
    exit 1
}

# Starts a display, with a home folder without settings of earlier runs.
start_display() {
    Xvfb -displayfd 3 -screen 0 1280x900x24 +extension GLX -nolisten tcp 3>"$scratch/display" 2>/dev/null &
    for _ in $(seq 100); do [ -s "$scratch/display" ] && break; sleep 0.1; done
    [ -s "$scratch/display" ] || fail "Xvfb did not start"
    DISPLAY=:$(cat "$scratch/display")
    export DISPLAY HOME=$scratch XDG_DATA_HOME=$scratch/data XDG_CONFIG_HOME=$scratch/config
    unset WAYLAND_DISPLAY
    openbox >/dev/null 2>&1 &
}

# The functions below use `pid`, the program's process, and set `window` to its window.
window=
title() { xdotool getwindowname "$window" 2>/dev/null || true; }
wait_for_title() {
    for _ in $(seq 300); do
        kill -0 "$pid" 2>/dev/null || fail "the program has ended"
        window=$(xdotool search --onlyvisible --pid "$pid" --name '^camlens' 2>/dev/null | tail -1 || true)
        [ -n "$window" ] && [[ "$(title)" == *"$1"* ]] && return
        sleep 0.1
    done
    fail "the title never contained $1; it is '$(title)'"
}

# Percentage of pixels in the panes with turbo's cyan and green, colors that neither the photo nor
# the rest of the window has.
heat_percent() {
    import -window "$window" "$1"
    convert "$1" -crop +280+100 +repage -depth 8 rgb:- | /usr/bin/python3 -c '
import sys
b = sys.stdin.buffer.read()
hot = sum(1 for r, g, b in zip(b[0::3], b[1::3], b[2::3]) if g > r + 25 and g > 110)
print(100 * hot // max(len(b) // 3, 1))'
}
# wait_for_heat WHAT SCREENSHOT
wait_for_heat() {
    for _ in $(seq 50); do
        heat=$(heat_percent "$2")
        [ "$heat" -ge 2 ] && { say "$1: heat on $heat % of the panes"; return; }
        sleep 0.2
    done
    fail "$1: no heat on screen ($heat %)"
}
# open_photo PROGRAM PHOTO SCREENSHOT: opens a photo with the built-in model on a display of its own.
open_photo() {
    start_display
    "$1" --model efficientnet-lite0 --device cpu "$2" >"$scratch/log" 2>&1 &
    pid=$!
    wait_for_title "$(basename "$2")"
    wait_for_heat "photo from the command line" "$3"
}
