//! Which gray levels of a photo are black and white: only for photos with more than 256 of them,
//! such as DICOM.

use eframe::egui::{DragValue, RichText, Role, Ui, WidgetInfo};

use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::input::photo::{Tones, WindowLevel};

/// Draws the window of the photo on screen, and notices about the photo.
pub fn gray_levels_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let Some(shown) = state.latest.shown() else {
        return;
    };
    if let (Some(tones), Some(photo)) = (&shown.photo.tones, shown.plan.photo) {
        window_ui(ui, state, (photo, tones), actions);
    }
    for notice in &shown.photo.notices {
        let notice = RichText::new(notice).small();
        ui.label(notice.color(ui.visuals().warn_fg_color));
    }
}

fn window_ui(ui: &mut Ui, state: &State, (photo, tones): (u64, &Tones), actions: &mut Actions) {
    let item = state.photo_item(Some(photo));
    let chosen = item.and_then(|item| item.window);
    let now = chosen.unwrap_or(tones.own);
    let (mut center, mut width) = (now.center, now.width);
    let (low, high) = tones.range;
    let speed = f64::from(high - low).max(1.0) / 500.0;
    ui.horizontal_wrapped(|ui| {
        ui.label("Gray levels").on_hover_text(format!(
            "Which levels are black and white: those half a width around the center. The network sees the photo in this way too. This photo has levels from {low} to {high}."
        ));
        let mut field = |value: &mut f32, name: &str, prefix: &str, least: f32| {
            let field = DragValue::new(value)
                .range(least..=f32::MAX)
                .speed(speed)
                .max_decimals(1)
                .prefix(prefix)
                .update_while_editing(false);
            let field = ui.add(field);
            field.widget_info(|| WidgetInfo::labeled(Role::SpinButton, true, name));
            field.on_hover_text(name);
        };
        field(&mut center, "Window center", "C ", f32::MIN);
        field(&mut width, "Window width", "W ", 1.0);
        let own = ui.add_enabled(now != tones.own, eframe::egui::Button::new("As in file").small());
        if own.on_hover_text(format!("{}", tones.own)).clicked() {
            actions.push(Action::SetWindow {
                photo,
                window: None,
            });
        }
        let whole = tones.whole();
        let all = ui.add_enabled(now != whole, eframe::egui::Button::new("Whole range").small());
        if all
            .on_hover_text("From the lowest to the highest level of this photo")
            .clicked()
        {
            actions.push(Action::SetWindow {
                photo,
                window: Some(whole),
            });
        }
    });
    let wanted = WindowLevel::new(center, width).unwrap_or(now);
    if wanted != now {
        actions.push(Action::SetWindow {
            photo,
            window: Some(wanted),
        });
    }
}
