//! The line below the panes: what is shown and how it came about, what is under
//! the pointer, what is going on, and what went wrong.

use eframe::egui;
use eframe::egui::{Color32, Frame, Panel, RichText, Ui};

use crate::app::App;
use crate::app::command::Command;
use crate::app::pane::probe;
use crate::app::state::Latest;
use crate::model::ModelChoice;
use crate::report::answer::milliseconds;
use crate::text::printable;
use crate::worker::Answer;

pub fn show(app: &mut App, ui: &mut Ui) {
    message_ui(app, ui);
    Panel::bottom("status").show(ui, |ui| {
        // On one line: the panes must not move when the pointer does.
        ui.horizontal(|ui| {
            if let Latest::Working { step, .. } = &app.state.latest {
                let words = step.map_or("Waiting…", |step| step.words());
                ui.add(egui::Spinner::new().size(14.0));
                ui.label(words);
                if let Some((done, total)) = app.state.loading {
                    loading_ui(ui, done, total);
                }
                ui.separator();
            }
            if let Some(shown) = app.state.latest.shown().cloned() {
                let text = match app.probe {
                    Some(at) => probe::summary(app, &shown, at),
                    None => summary(&shown, &layers(app)),
                };
                ui.add(egui::Label::new(text).truncate());
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

/// The layers of the maps on screen and their cells.
pub fn layers(app: &App) -> String {
    let maps = app.state.settings.view.sides().iter();
    let drawn = maps.filter_map(|&side| app.textures.kept(side));
    let mut names: Vec<String> = drawn
        .map(|heat| {
            let architecture = heat.analysis().model.architecture;
            let (height, width) = (heat.map.height, heat.map.width);
            let layer = architecture.layer_name(heat.map.layer);
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
                    app.state.dismiss();
                }
                for choice in app.state.offers.iter().rev() {
                    let name = match choice {
                        ModelChoice::Within(_, network) => printable::name(&network.to_string()),
                        other => printable::name(&other.label()),
                    };
                    let offer = ui.button(format!("Use {name}"));
                    if offer
                        .on_hover_text("Open this network of the file")
                        .clicked()
                    {
                        app.commands.push(Command::UseModel(choice.clone()));
                    }
                }
                ui.with_layout(egui::Layout::top_down(egui::Align::Min), |ui| {
                    ui.add(egui::Label::new(RichText::new(text).color(Color32::WHITE)).wrap());
                });
            });
        });
    });
}
