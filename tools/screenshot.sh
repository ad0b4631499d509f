#!/usr/bin/env bash
# The picture in the README: the window with the built-in model, a sample photo and the
# class "space shuttle", for which the two maps differ.
#
#   tools/screenshot.sh PROGRAM SCREENSHOT.png
#
# Needs xvfb, openbox, xdotool, imagemagick and Mesa (see .ci/run).
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "$1")
shot=$2
shots=$(dirname "$shot")
. tools/on_screen.sh

open_photo "$program" assets/samples/astronaut.png "$shot"

# Where the search box and the first row of the class table are, in pixels of the window.
search_box=(130 479)
first_row=(60 523)
xdotool mousemove --window "$window" "${search_box[@]}" click 1
xdotool type --window "$window" --delay 60 "space shuttle"
sleep 1
xdotool mousemove --window "$window" "${first_row[@]}" click 1
sleep 3
xdotool mousemove 5 5
sleep 2
import -window "$window" "$shot"
say "screenshot in $shot"
