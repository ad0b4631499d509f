//! The line below the panes: what is shown and how it came about, what is under
//! the pointer, what is going on, and what went wrong.

use eframe::egui::{self, Color32, Frame, Panel, Pos2, RichText, Ui};

use super::App;
use super::settings::Side;
use super::state::Latest;
use super::textures::Place;
use crate::analysis::Layer;
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
                if let Some((done, total)) = app.state.loading {
                    loading_ui(ui, done, total);
                }
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

/// How much of the weights is read.
fn loading_ui(ui: &mut Ui, done: u64, total: u64) {
    let share = done as f32 / total.max(1) as f32;
    let megabytes = |bytes: u64| bytes / 1_000_000;
    let text = format!("{} of {} MB", megabytes(done), megabytes(total));
    ui.add(
        egui::ProgressBar::new(share)
            .desired_width(160.0)
            .text(text),
    );
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
        analysis.model.architecture.layer_name(Layer::Last),
        analysis.features.height,
        analysis.features.width,
        analysis.device,
    )
}

/// The maps' cells under the pointer.
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
    let value = |&side: &Side| {
        let map = app.textures.cells(Place::Pane(side))?;
        let row = (row * map.height as f64 / height as f64) as usize;
        let column = (column * map.width as f64 / width as f64) as usize;
        let cell = map.cells.get(row * map.width + column)?;
        let method = map.recipe.method;
        let unit = if method.is_in_logits(map.layer) {
            logit_share(*cell, map.sum())
        } else {
            String::new()
        };
        let layer = analysis.model.architecture.layer_name(map.layer);
        Some(format!(
            " · {} {cell:+.4}{unit} ({layer} cell {row}, {column})",
            method.name()
        ))
    };
    let values: String = app
        .state
        .settings
        .view
        .sides()
        .iter()
        .filter_map(value)
        .collect();
    format!("{position}{values}")
}

/// What a cell in logit units is of the logit less its bias, which all cells add up to.
/// Of a sum that is not positive there are no shares.
fn logit_share(cell: f32, sum: f32) -> String {
    if sum > 0.0 {
        let share = 100.0 * cell / sum;
        format!(" logit, {share:+.1} % of {sum:.3}")
    } else {
        " logit".into()
    }
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

#[cfg(test)]
mod tests {
    use super::logit_share;

    #[test]
    fn a_cells_share_is_of_the_logit_less_its_bias() {
        assert_eq!(logit_share(0.5, 12.5), " logit, +4.0 % of 12.500");
        assert_eq!(logit_share(-0.25, 12.5), " logit, -2.0 % of 12.500");
        assert_eq!(logit_share(0.5, -1.0), " logit");
    }
}
