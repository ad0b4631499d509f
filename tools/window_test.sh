#!/usr/bin/env bash
# One run in a real window: a sample is opened, a second photo is dropped on the
# window as a file manager would, and both must come out as heat on the screen.
#
#   tools/window_test.sh PROGRAM SCREENSHOT.png
#
# Needs xvfb, openbox, xdotool, imagemagick, python3-xlib and Mesa (see .ci/run).
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "$1")
shot=$2
scratch=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$scratch"' EXIT

fail() {
    echo "window test: $1" >&2
    import -window root "$shot" 2>/dev/null || true
    cat "$scratch/log" >&2 || true
    exit 1
}

# A display of its own, and a home without settings of an earlier run.
Xvfb -displayfd 3 -screen 0 1280x900x24 +extension GLX -nolisten tcp 3>"$scratch/display" 2>/dev/null &
for _ in $(seq 100); do [ -s "$scratch/display" ] && break; sleep 0.1; done
[ -s "$scratch/display" ] || fail "Xvfb did not start"
DISPLAY=:$(cat "$scratch/display")
export DISPLAY HOME=$scratch XDG_DATA_HOME=$scratch/data
unset WAYLAND_DISPLAY
openbox >/dev/null 2>&1 &

"$program" --model efficientnet-lite0 --device cpu assets/samples/cat.png >"$scratch/log" 2>&1 &
pid=$!

window=
title() { xdotool getwindowname "$window" 2>/dev/null || true; }
wait_for_title() {
    for _ in $(seq 300); do
        kill -0 $pid 2>/dev/null || fail "the program has ended"
        window=$(xdotool search --onlyvisible --pid $pid 2>/dev/null | tail -1 || true)
        [ -n "$window" ] && [[ "$(title)" == *"$1"* ]] && return
        sleep 0.1
    done
    fail "the title never named $1; it is '$(title)'"
}

# Percent of the pixels in the panes with turbo's cyan and green, which neither
# photo nor the window's own colours have.
heat_percent() {
    import -window "$window" "$shot"
    convert "$shot" -crop +280+100 +repage -depth 8 rgb:- | /usr/bin/python3 -c '
import sys
b = sys.stdin.buffer.read()
hot = sum(1 for r, g, b in zip(b[0::3], b[1::3], b[2::3]) if g > r + 25 and g > 110)
print(100 * hot // (len(b) // 3))'
}
wait_for_heat() {
    for _ in $(seq 50); do
        heat=$(heat_percent)
        [ "$heat" -ge 2 ] && { echo "window test: $1: heat on $heat % of the panes"; return; }
        sleep 0.2
    done
    fail "$1: no heat on screen ($heat %)"
}

wait_for_title cat.png
wait_for_heat "photo from the command line"

/usr/bin/python3 tools/xdnd_drop.py "$window" assets/samples/coffee.png >>"$scratch/log" || fail "the drop was refused"
wait_for_title coffee.png
wait_for_heat "dropped photo"

xdotool mousemove 5 5
sleep 2
ticks() { awk '{print $14 + $15}' /proc/$pid/stat; }
before=$(ticks)
sleep 4
idle=$(($(ticks) - before))
[ "$idle" -le 1 ] || fail "an idle window used $idle ticks of 10 ms in 4 s"
echo "window test: idle: $idle ticks of 10 ms in 4 s; resident: $(awk '/VmRSS/ {print $2 / 1024}' /proc/$pid/status) MB"

xdotool key --window "$window" 3
sleep 1
kill -0 $pid 2>/dev/null || fail "the program has ended"
wait_for_heat "one pane"
import -window "$window" "$shot"
echo "window test: passed, screenshot in $shot"
