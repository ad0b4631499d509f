//! How maps are drawn.

use camlens::render::heatmap::Scaling;

use super::classes::compare_with;
use super::*;

const SIZES: [(f32, f32); 4] = [(480.0, 360.0), (800.0, 600.0), ROOMY, (2000.0, 300.0)];

pub fn look_keys(s: &mut Session) -> Option<String> {
    let keys = [
        [Key::Num1, Key::Num2, Key::Num3, Key::Space, Key::X],
        [Key::S, Key::C, Key::G, Key::O, Key::K],
        [Key::F, Key::I, Key::Plus, Key::Minus, Key::R],
        [Key::L, Key::V, Key::F1, Key::F11, Key::Escape],
    ];
    let key = s.dice.deal("look keys", &keys.concat());
    if key == Key::X && !s.harness.ctx.text_edit_focused() {
        s.watch.pinned.swap(0, 1);
    }
    s.harness.key_press(key);
    s.step(1);
    Some(format!("{key:?}"))
}

pub fn display_options(s: &mut Session) -> Option<String> {
    s.rest("before the look");
    s.roomy();
    let whats = [
        "opacity",
        "threshold",
        "positive colors",
        "signed colors",
        "scaling",
        "display",
        "theme",
        "view menu",
        "tab",
    ];
    let what = s.dice.deal("look", &whats);
    match what {
        "opacity" => {
            let percent = u8::try_from(s.dice.roll(101)).unwrap();
            s.set(Role::Slider, "Opacity", percent.into());
            let share = s.state().settings.display_options.opacity.share();
            assert!((100.0 * share - f32::from(percent)).abs() < 0.51);
        }
        "threshold" => {
            let percent = u8::try_from(s.dice.roll(96)).unwrap();
            s.set(Role::Slider, "Threshold", percent.into());
            assert_eq!(s.state().settings.display_options.threshold, percent);
        }
        "positive colors" => {
            let colors = s.dice.deal("colors", &Colormap::SEQUENTIAL);
            evidence(s, "positive")?;
            s.choose("Colors", colors.name());
            assert_eq!(s.state().settings.display_options.colormap, colors);
        }
        "signed colors" => {
            let colors = s.dice.deal("signed colors", &Colormap::DIVERGING);
            evidence(s, "signed")?;
            s.choose("Colors", colors.name());
            assert_eq!(s.state().settings.display_options.diverging, colors);
        }
        "scaling" => {
            evidence(s, "positive")?;
            let scaling = s.dice.deal("scaling", &Scaling::POSITIVE);
            s.click_a(Role::Button, scaling.name());
            assert_eq!(s.state().settings.display_options.scaling, scaling);
        }
        "display" => {
            s.click("View");
            let display = s.dice.deal("display", &["overlay", "heat", "photo"]);
            s.click_a(Role::RadioButton, display);
            assert_eq!(s.state().settings.display_options.display.name(), display);
        }
        "theme" => {
            s.click("View");
            let theme = s.dice.deal("theme", &["light", "dark", "as the system"]);
            s.click(theme);
        }
        "view menu" => {
            s.click("View");
            let boxes = [
                "Cells, not smoothed (C)",
                "Borders of the cells (G)",
                "Contours (O)",
                "Zoom panes together (K)",
            ];
            let name = s.dice.deal("view menu", &boxes);
            s.click_a(Role::CheckBox, name);
        }
        _ => s.harness.key_press(Key::Tab),
    }
    s.step(1);
    s.roomy();
    Some(what.into())
}

/// Draws positive or signed evidence.
fn evidence(s: &mut Session, which: &str) -> Option<()> {
    let analysis = s.analysis()?;
    if s.state().shows_difference() {
        // A difference is always signed.
        if which == "signed" {
            return Some(());
        }
        compare_with(s, &analysis, None);
        s.rest("no other class");
    }
    s.click(which);
    Some(())
}

pub fn resize(s: &mut Session) -> Option<String> {
    let size = s.dice.deal("sizes", &SIZES);
    s.resize(size);
    Some(format!("{}×{}", size.0, size.1))
}
