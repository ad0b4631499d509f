//! The line below the panes: what is shown and how it came about, what is under
//! the pointer, what is going on, and what went wrong.

use eframe::egui::{self, Color32, Frame, Panel, Pos2, RichText, Ui};

use super::App;
use super::state::Latest;
use crate::cam::Method;
use crate::report::milliseconds;
use crate::worker::Shown;

pub fn show(app: &mut App, ui: &mut Ui) {
    message_ui(app, ui);
    Panel::bottom("status").show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            if let Latest::Working { step, .. } = &app.state.latest {
                let words = step.map_or("Waiting…", |step| step.words());
                ui.add(egui::Spinner::new().size(14.0));
                ui.label(words);
                ui.separator();
            }
            if let Some(shown) = app.state.latest.shown() {
                match app.probe {
                    Some(probe) => ui.label(probe_text(app, shown, probe)),
                    None => ui.label(summary(shown)),
                };
            } else if !matches!(app.state.latest, Latest::Working { .. }) {
                ui.weak("Ready.");
            }
        });
    });
}

fn summary(shown: &Shown) -> String {
    let (photo, analysis) = (&shown.photo, &shown.analysis);
    let (width, height) = analysis.placement.input;
    let verb = match analysis.framing {
        crate::framing::Framing::Whole => "seen whole at",
        crate::framing::Framing::Crop => "seen cropped to",
        crate::framing::Framing::Squash => "seen squashed to",
    };
    let alpha = if photo.had_alpha {
        " · transparent parts on white"
    } else {
        ""
    };
    format!(
        "{} {}×{}{alpha} · {verb} {width}×{height} · {:.0} ms · {}, {}×{} cells · {}",
        photo.name,
        photo.width,
        photo.height,
        milliseconds(analysis.timings.frame + analysis.timings.forward),
        analysis.model.architecture.target_layer(),
        analysis.features.height,
        analysis.features.width,
        analysis.device,
    )
}

/// Both maps' cells under the pointer.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // on the photo
fn probe_text(app: &App, shown: &Shown, probe: Pos2) -> String {
    let analysis = &shown.analysis;
    let x = f64::from(probe.x) * shown.photo.width as f64;
    let y = f64::from(probe.y) * shown.photo.height as f64;
    let position = format!("x {} y {}", x as usize, y as usize);
    let (column, row) = analysis.placement.input_from_photo((x, y));
    let (width, height) = analysis.placement.input;
    let inside = (0.0..width as f64).contains(&column) && (0.0..height as f64).contains(&row);
    if !inside {
        return format!("{position} · not seen by the network");
    }
    let features = &analysis.features;
    let row = (row * features.height as f64 / height as f64) as usize;
    let column = (column * features.width as f64 / width as f64) as usize;
    let value = |method: Method| {
        app.textures
            .cells(method)
            .and_then(|map| map.cells.get(row * map.width + column))
            .map_or(String::new(), |cell| match method {
                Method::GradCam => format!(" · Grad-CAM {cell:+.3} logit"),
                Method::GradCamPlusPlus => format!(" · Grad-CAM++ {cell:.4}"),
            })
    };
    let values: String = Method::ALL.into_iter().map(value).collect();
    format!("{position} · cell {row}, {column}{values}")
}

/// The last error or message, until it is dismissed or something else is opened.
fn message_ui(app: &mut App, ui: &mut Ui) {
    let (text, is_error) = match (&app.state.error, &app.state.info) {
        (Some(error), _) => (error.clone(), true),
        (None, Some(info)) => (info.clone(), false),
        (None, None) => return,
    };
    let fill = if is_error {
        Color32::from_rgb(120, 30, 30)
    } else {
        Color32::from_rgb(30, 80, 50)
    };
    let frame = Frame::new().fill(fill).inner_margin(8);
    Panel::bottom("message").frame(frame).show(ui, |ui| {
        ui.horizontal_top(|ui| {
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Min), |ui| {
                if ui.button("Dismiss").clicked() {
                    app.state.error = None;
                    app.state.info = None;
                }
                ui.with_layout(egui::Layout::top_down(egui::Align::Min), |ui| {
                    ui.add(egui::Label::new(RichText::new(text).color(Color32::WHITE)).wrap());
                });
            });
        });
    });
}
