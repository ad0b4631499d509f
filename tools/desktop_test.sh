#!/usr/bin/env bash
# Tests the program on a real desktop, step by step: the system's file dialog (opened, cancelled,
# not installed), dropped files with unusual names, pasting, window sizes, a second start, damaged
# settings, no OpenGL, Wayland. A screenshot of each step is saved in SHOTS.
#
#   tools/desktop_test.sh PROGRAM SHOTS
#
# Needs the packages that .ci/run installs.
set -euo pipefail
self=$(realpath "$0")
cd "$(dirname "$0")/.."
program=$(realpath "$1")
mkdir -p "$2"
shots=$(realpath "$2")
. tools/on_screen.sh
samples=$PWD/assets/samples

# start LOG [ARGUMENTS…]: starts the program with nothing in the environment that could replace its
# built-in model.
start() {
    local log=$1
    shift
    "$program" --model efficientnet-lite0 --device cpu "$@" >"$scratch/log-$log" 2>&1 &
    pid=$!
}
stop() { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }
# key KEYS: sends keys to the focused window, as a user would.
key() { xdotool key --delay 60 "$@"; sleep 0.4; }
focus() { xdotool windowactivate --sync "$window"; sleep 0.2; }
# wait_for_window NAME: waits for a window and prints its number.
wait_for_window() {
    for _ in $(seq 150); do
        other=$(xdotool search --onlyvisible --name "$1" 2>/dev/null | tail -1 || true)
        [ -n "$other" ] && return
        sleep 0.1
    done
    fail "the window $1 did not appear"
}
wait_until_gone() {
    for _ in $(seq 100); do
        xdotool search --onlyvisible --name "$1" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    fail "the window $1 was not closed"
}
# Number of pixels that differ between two screenshots.
difference() { compare -metric AE "$1" "$2" null: 2>&1 | awk '{printf "%d", $1}' || true; }

if [ -z "${INSIDE_DBUS:-}" ]; then
    start_display
    # The portal's services must use this display.
    INSIDE_DBUS=yes dbus-run-session -- "$self" "$program" "$shots" 2>"$scratch/errors" || {
        grep -av '^dbus-daemon' "$scratch/errors" >&2
        exit 1
    }
    exit
fi

say "1. the portal's dialog: open, cancel"
start dialog
wait_for_title camlens
sleep 1
import -window "$window" "$shots/1-start.png"
focus
key ctrl+o
wait_for_window '^Open photos'
import -window root "$shots/1-dialog.png"
xdotool windowactivate --sync "$other"
key ctrl+l
xdotool type --delay 20 "$samples/cat.png"
sleep 1 # the dialog looks for completions
key Return
sleep 1
xdotool search --onlyvisible --name '^Open photos' >/dev/null 2>&1 && key Return
wait_for_title cat.png
wait_for_heat "a photo from the dialog" "$shots/1-opened.png"
wait_until_gone '^Open photos'
focus
key ctrl+o
wait_for_window '^Open photos'
xdotool windowactivate --sync "$other"
key Escape
wait_until_gone '^Open photos'
wait_for_title cat.png
wait_for_heat "after Cancel" "$shots/1-cancelled.png"

say "2. a drop of several files with unusual names"
odd=$scratch/odd
mkdir "$odd" "$odd/folder"
cp "$samples/coffee.png" "$odd/two words & Käse.png"
cp "$samples/rocket.png" "$odd/🐈 #%41?.png"
echo "no photo" >"$odd/text.jpg"
/usr/bin/python3 tools/xdnd_drop.py "$window" "$odd"/two* "$odd"/🐈* "$odd/text.jpg" >>"$scratch/log-dialog" ||
    fail "the drop was refused"
wait_for_title "two words & Käse.png"
wait_for_heat "the first of them" "$shots/2-dropped.png"
focus
key Next
wait_for_title "🐈 #%41?.png"
# The third file is not a photo: the previous one stays.
key Next
sleep 1
wait_for_title "🐈 #%41?.png"
wait_for_heat "after a file that is no photo" "$shots/2-refused.png"
# winit 0.30 ignores the whole drop if one name is not UTF-8, but we read the files of a folder
# ourselves.
cp "$samples/astronaut.png" "$odd/folder/$(printf 'not \377 utf-8').png"
/usr/bin/python3 tools/xdnd_drop.py "$window" "$odd/folder" >>"$scratch/log-dialog" || fail "the drop was refused"
wait_for_title "utf-8.png"
wait_for_heat "a name that is not UTF-8" "$shots/2-not-utf-8.png"

say "3. pasting an image and a path"
xclip -selection clipboard -t image/png -i "$samples/coffee.png"
focus
key ctrl+v
wait_for_title "pasted image"
wait_for_heat "a pasted image" "$shots/3-image.png"
printf '%s' "$samples/rocket.png" | xclip -selection clipboard -i
key ctrl+v
wait_for_title rocket.png
wait_for_heat "a pasted path" "$shots/3-path.png"

say "4. window sizes"
for size in "800 600" "480 360" "1280 860"; do
    # shellcheck disable=SC2086
    xdotool windowsize --sync "$window" $size
    sleep 1
    wait_for_heat "at $size" "$shots/4-${size/ /x}.png"
done

say "5. a second start, with files"
first=$pid
start second "$samples/astronaut.png" "$samples/cat.png"
wait_for_title astronaut.png
wait_for_heat "the second window" "$shots/5-second.png"
kill -0 "$first" || fail "the first program has ended"
stop
pid=$first
wait_for_title rocket.png

say "6. closing during a survey ends the program within a second"
/usr/bin/python3 tools/xdnd_drop.py "$window" "$samples"/*.png >>"$scratch/log-dialog" || fail "the drop was refused"
focus
before=$(date +%s%N)
xdotool key alt+F4
while kill -0 "$pid" 2>/dev/null; do
    [ $(($(date +%s%N) - before)) -lt 1000000000 ] || fail "the program still runs 1 s after it was closed"
    sleep 0.02
done
status=0
wait "$pid" || status=$?
[ "$status" = 0 ] || fail "the program exited with status $status"
say "ended after $((($(date +%s%N) - before) / 1000000)) ms"

say "7. a damaged settings file"
settings=$XDG_DATA_HOME/camlens/app.ron
printf '\377\0garbage' >"$settings"
start garbage "$samples/cat.png"
wait_for_title cat.png
wait_for_heat "with garbage for settings" "$shots/7-garbage.png"
cmp "$settings.damaged" <(printf '\377\0garbage') || fail "the damaged file was not kept"
stop

say "8. no file dialog"
mkdir "$scratch/bin"
before=$PATH
(
    # With neither a portal nor zenity.
    export DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent PATH=$scratch/bin
    exec "$program" --model efficientnet-lite0 --device cpu "$samples/cat.png" >"$scratch/log-none" 2>&1
) &
pid=$!
wait_for_title cat.png
wait_for_heat "without a dialog" "$shots/8-before.png"
focus
key ctrl+o
sleep 1
import -window "$window" "$shots/8-after.png"
changed=$(difference "$shots/8-before.png" "$shots/8-after.png")
[ "$changed" -gt 500 ] || fail "no message about the missing dialog ($changed pixels changed)"
wait_for_title cat.png
stop

say "9. no OpenGL"
status=0
__EGL_VENDOR_LIBRARY_DIRS=/nonexistent __EGL_VENDOR_LIBRARY_FILENAMES=/nonexistent LIBGL_DRIVERS_PATH=/nonexistent \
    timeout 20 "$program" "$samples/cat.png" >"$scratch/log-gl" 2>&1 || status=$?
[ "$status" = 1 ] || fail "without OpenGL, the exit status is $status"
grep -q "camlens explain" "$scratch/log-gl" || fail "the message does not mention camlens explain"

say "10. Wayland, without and with XWayland"
export XDG_RUNTIME_DIR=$scratch/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
weston --backend=x11-backend.so --width=1200 --height=820 --socket=camlens-test --idle-time=0 >"$scratch/log-weston" 2>&1 &
for _ in $(seq 100); do [ -S "$XDG_RUNTIME_DIR/camlens-test" ] && break; sleep 0.1; done
[ -S "$XDG_RUNTIME_DIR/camlens-test" ] || fail "weston did not start"
x11=$DISPLAY
DISPLAY='' WAYLAND_DISPLAY=camlens-test RUST_LOG=camlens=debug "$program" --model efficientnet-lite0 --device cpu \
    >"$scratch/log-wayland" 2>&1 &
pid=$!
wait_for_line() {
    for _ in $(seq 150); do
        grep -q "$1" "$scratch/log-wayland" && return
        kill -0 "$pid" 2>/dev/null || fail "the program has ended under Wayland"
        sleep 0.1
    done
    fail "the log has no '$1'"
}
wait_for_line "shown by Wayland"
wait_for_line "the first frame is drawn"
sleep 2
import -window root "$shots/10-wayland.png"
stop
WAYLAND_DISPLAY=camlens-test DISPLAY=$x11 RUST_LOG=camlens=debug "$program" --model efficientnet-lite0 --device cpu \
    "$samples/cat.png" >"$scratch/log-wayland" 2>&1 &
pid=$!
wait_for_line "shown by Other"
wait_for_title cat.png
wait_for_heat "through X11 beside Wayland" "$shots/10-xwayland.png"
stop

say "passed, screenshots in $shots"
