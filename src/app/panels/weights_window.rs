//! The catalog of weights that can be downloaded. Nothing is downloaded without a click.

use eframe::egui;
use eframe::egui::{Context, Grid, ProgressBar, RichText, Ui};

use crate::app::background::downloads::Downloads;
use crate::app::state::action::{Action, Actions};
use crate::app::state::command::Command;
use crate::app::state::dialogs::Dialog;
use crate::app::widgets::name_button;
use crate::model::ModelChoice;
use crate::model::hub::{Fetch, MODELS};

/// After this long without data, the user is informed.
const QUIET: std::time::Duration = std::time::Duration::from_secs(10);

pub fn show(ctx: &Context, shown: bool, downloads: &Downloads, actions: &mut Actions) {
    let mut open = shown;
    egui::Window::new("Weights from the Hugging Face hub")
        .open(&mut open)
        .collapsible(false)
        .default_width(640.0)
        .anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO)
        .show(ctx, |ui| {
            ui.label("ImageNet classifiers with 1000 classes, trained and published by others. A downloaded file is kept in the hub's shared cache and becomes the model.");
            ui.add_space(6.0);
            egui::ScrollArea::both().max_height(360.0).show(ui, |ui| catalog_ui(ui, downloads, actions));
            if let Some(fetch) = &downloads.fetch {
                ui.separator();
                if progress_ui(ui, fetch) {
                    actions.push(Command::CancelFetch);
                }
            }
        });
    if open != shown {
        actions.push(Action::ShowDialog(Dialog::Weights, open));
    }
}

fn catalog_ui(ui: &mut Ui, downloads: &Downloads, actions: &mut Actions) {
    Grid::new("catalog")
        .num_columns(5)
        .spacing([16.0, 6.0])
        .striped(true)
        .show(ui, |ui| {
            for title in ["Weights", "Size", "Accuracy (reported)", "License", ""] {
                ui.label(RichText::new(title).small().strong());
            }
            ui.end_row();
            for (known, cached) in MODELS.iter().zip(&downloads.cached) {
                ui.label(known.name).on_hover_text(known.network);
                ui.label(format!("{} MB", known.megabytes));
                ui.label(known.accuracy);
                ui.label(known.license);
                if let Some(path) = cached {
                    ui.horizontal(|ui| {
                        let button = ui.button("Use");
                        name_button(&button, &format!("Use {}", known.name));
                        if button.on_hover_text(path.display().to_string()).clicked() {
                            actions
                                .push(Action::UseModel(ModelChoice::File(path.clone())));
                        }
                        let button = egui::Button::new("Check").small();
                        let button = ui.add_enabled(downloads.fetch.is_none(), button);
                        name_button(&button, &format!("Check {}", known.name));
                        let button = button.on_hover_text(
                            "Compares its SHA-256 with the hub's and downloads it again if it is damaged",
                        );
                        if button.clicked() {
                            actions.push(Command::Fetch(known.name.into()));
                        }
                    });
                } else {
                    let button = ui.add_enabled(downloads.fetch.is_none(), egui::Button::new("Fetch"));
                    name_button(&button, &format!("Fetch {}", known.name));
                    if button.clicked() {
                        actions.push(Command::Fetch(known.name.into()));
                    }
                }
                ui.end_row();
            }
        });
}

/// A bar with size and speed; returns whether the user wants to stop the download.
pub fn progress_ui(ui: &mut Ui, fetch: &Fetch) -> bool {
    let mut cancel = false;
    ui.horizontal(|ui| {
        let (share, text) = match fetch.progress() {
            Some(progress) => {
                let megabytes = |bytes: u64| bytes as f64 / 1e6;
                let speed = fetch
                    .speed()
                    .map_or(String::new(), |speed| format!(" · {:.1} MB/s", speed / 1e6));
                let text = format!(
                    "{:.1} of {:.1} MB{speed}",
                    megabytes(progress.done),
                    megabytes(progress.total)
                );
                (progress.done as f32 / progress.total.max(1) as f32, text)
            }
            None => (0.0, "asking the hub…".into()),
        };
        ui.label(fetch.known.name);
        ui.add(ProgressBar::new(share).desired_width(220.0).text(text));
        cancel = ui
            .button("Stop")
            .on_hover_text("The partial download is kept")
            .clicked();
        if fetch.silence() > QUIET {
            ui.label(format!("no data for {} s", fetch.silence().as_secs()));
        }
        ui.ctx()
            .request_repaint_after(std::time::Duration::from_secs(1));
    });
    cancel
}
