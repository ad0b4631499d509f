#!/usr/bin/env bash
# Tests a real window: a sample is opened, a second photo is dropped on the window as from a file
# manager, and heat must appear on the screen for both.
#
#   tools/window_test.sh PROGRAM SCREENSHOT.png
#
# Needs xvfb, openbox, xdotool, imagemagick, python3-xlib and Mesa (see .ci/run).
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "$1")
shot=$2
shots=$(dirname "$shot")
. tools/on_screen.sh

open_photo "$program" assets/samples/cat.png "$shot"

/usr/bin/python3 tools/xdnd_drop.py "$window" assets/samples/coffee.png >>"$scratch/log" || fail "the drop was refused"
wait_for_title coffee.png
wait_for_heat "dropped photo" "$shot"

xdotool mousemove 5 5
sleep 2
ticks() { awk '{print $14 + $15}' /proc/$pid/stat; }
before=$(ticks)
sleep 4
idle=$(($(ticks) - before))
[ "$idle" -le 1 ] || fail "an idle window used $idle ticks of 10 ms in 4 s"
say "idle: $idle ticks of 10 ms in 4 s; resident: $(awk '/VmRSS/ {print $2 / 1024}' /proc/$pid/status) MB"

xdotool key --window "$window" 3
sleep 1
kill -0 $pid 2>/dev/null || fail "the program has ended"
wait_for_heat "one pane" "$shot"
import -window "$window" "$shot"
say "passed, screenshot in $shot"
