//! The line below the panes: what is shown and how it was computed, what is under the pointer, the
//! progress of tasks, and errors.

use eframe::egui;
use eframe::egui::{Color32, Frame, Panel, RichText, Ui};

use crate::app::pane::probe;
use crate::app::pane::probe::PointerProbe;
use crate::app::state::action::{Action, Actions};
use crate::app::state::{Latest, State};
use crate::app::textures::Textures;
use crate::model::ModelChoice;
use crate::report::answer::milliseconds;
use crate::text::printable;
use crate::worker::Answer;

/// Draws the line, and the message above it.
pub fn show(
    ui: &mut Ui,
    state: &State,
    (textures, probe): (&Textures, &mut PointerProbe),
    actions: &mut Actions,
) {
    message_ui(ui, state, actions);
    Panel::bottom("status").show(ui, |ui| {
        // A single line, so that the panes do not move when the pointer does.
        ui.horizontal(|ui| {
            if let Latest::Working { step, .. } = &state.latest {
                let words = step.map_or("Waiting…", |step| step.words());
                ui.add(egui::Spinner::new().size(14.0));
                ui.label(words);
                if let Some((done, total)) = state.loading {
                    loading_ui(ui, done, total);
                }
                ui.separator();
            }
            if let Some(shown) = state.latest.shown() {
                let text = match probe.at {
                    Some(at) => probe::summary((state, textures), probe, shown, at),
                    None => summary(shown, &layers(state, textures)),
                };
                ui.add(egui::Label::new(text).truncate());
            } else if !matches!(state.latest, Latest::Working { .. }) {
                ui.weak("Ready.");
            }
        });
    });
}

/// The progress of loading the weights.
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

/// The layers of the maps on screen and their cells.
fn layers(state: &State, textures: &Textures) -> String {
    let maps = state.settings.view.sides().iter();
    let drawn = maps.filter_map(|&side| textures.kept(side));
    let mut names: Vec<String> = drawn
        .map(|heat| {
            let (height, width) = (heat.map.height, heat.map.width);
            let layer = heat.analysis().model.layer_name(heat.map.layer.id);
            format!("{layer}, {height}×{width} cells")
        })
        .collect();
    names.dedup();
    names.join(" and ")
}

fn summary(shown: &Answer, layers: &str) -> String {
    let (photo, analysis) = (&shown.photo, &shown.analysis);
    let (width, height) = analysis.placement.input;
    let verb = match analysis.framing {
        crate::input::framing::Framing::Whole => "seen whole at",
        crate::input::framing::Framing::Crop => "seen cropped to",
        crate::input::framing::Framing::Squash => "seen squashed to",
        crate::input::framing::Framing::Letterbox => "seen whole within",
    };
    let alpha = if photo.had_alpha {
        " · transparent parts on white"
    } else {
        ""
    };
    format!(
        "{} {}×{}{alpha} · {verb} {width}×{height} · {:.0} ms · {layers} · {}",
        printable::name(&photo.name),
        photo.width,
        photo.height,
        milliseconds(analysis.timings.frame + analysis.timings.forward),
        analysis.device,
    )
}

/// The last error or message, until it is dismissed or something else is opened.
fn message_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let (text, is_error) = match (&state.error, &state.info) {
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
                    actions.push(Action::Dismiss);
                }
                for choice in state.offers.iter().rev() {
                    let name = match choice {
                        ModelChoice::Within(_, network) => printable::name(&network.to_string()),
                        other => printable::name(&other.label()),
                    };
                    let offer = ui.button(format!("Use {name}"));
                    if offer
                        .on_hover_text("Open this network of the file")
                        .clicked()
                    {
                        actions.push(Action::UseModel(choice.clone()));
                    }
                }
                ui.with_layout(egui::Layout::top_down(egui::Align::Min), |ui| {
                    ui.add(egui::Label::new(RichText::new(text).color(Color32::WHITE)).wrap());
                });
            });
        });
    });
}
