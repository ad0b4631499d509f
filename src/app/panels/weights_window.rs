//! The catalog of weights that can be fetched. Nothing is fetched without a click.

use eframe::egui;
use eframe::egui::{Context, Grid, ProgressBar, RichText, Ui};

use crate::app::App;
use crate::app::command::Command;
use crate::model::ModelChoice;
use crate::model::hub::{Fetch, MODELS};

/// Without news for so long the user should know.
const QUIET: std::time::Duration = std::time::Duration::from_secs(10);

pub fn show(app: &mut App, ctx: &Context) {
    let mut open = app.show_weights;
    egui::Window::new("Weights from the Hugging Face hub")
        .open(&mut open)
        .collapsible(false)
        .default_width(640.0)
        .anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO)
        .show(ctx, |ui| {
            ui.label("ImageNet classifiers with 1000 classes, trained and published by others. What is fetched is kept in the hub's shared cache and becomes the model.");
            ui.add_space(6.0);
            egui::ScrollArea::both().max_height(360.0).show(ui, |ui| catalog_ui(app, ui));
            if let Some(fetch) = &app.fetch {
                ui.separator();
                if progress_ui(ui, fetch) {
                    app.commands.push(Command::CancelFetch);
                }
            }
        });
    app.show_weights = open;
}

fn catalog_ui(app: &mut App, ui: &mut Ui) {
    Grid::new("catalog")
        .num_columns(5)
        .spacing([16.0, 6.0])
        .striped(true)
        .show(ui, |ui| {
            for title in ["Weights", "Size", "Accuracy (reported)", "License", ""] {
                ui.label(RichText::new(title).small().strong());
            }
            ui.end_row();
            for (known, cached) in MODELS.iter().zip(&app.cached) {
                ui.label(known.name).on_hover_text(known.network);
                ui.label(format!("{} MB", known.megabytes));
                ui.label(known.accuracy);
                ui.label(known.license);
                if let Some(path) = cached {
                    ui.horizontal(|ui| {
                        let button = ui.button("Use");
                        button.widget_info(|| named(&format!("Use {}", known.name)));
                        if button.on_hover_text(path.display().to_string()).clicked() {
                            app.commands
                                .push(Command::UseModel(ModelChoice::File(path.clone())));
                        }
                        let button = egui::Button::new("Check").small();
                        let button = ui.add_enabled(app.fetch.is_none(), button);
                        button.widget_info(|| named(&format!("Check {}", known.name)));
                        let button = button.on_hover_text(
                            "Compares its SHA-256 with the hub's and fetches it again if it is damaged",
                        );
                        if button.clicked() {
                            app.commands.push(Command::Fetch(known));
                        }
                    });
                } else {
                    let button = ui.add_enabled(app.fetch.is_none(), egui::Button::new("Fetch"));
                    button.widget_info(|| named(&format!("Fetch {}", known.name)));
                    if button.clicked() {
                        app.commands.push(Command::Fetch(known));
                    }
                }
                ui.end_row();
            }
        });
}

fn named(name: &str) -> egui::WidgetInfo {
    egui::WidgetInfo::labeled(egui::Role::Button, true, name)
}

/// A bar with size and speed; says whether the user wants it stopped.
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
            .on_hover_text("What is there is kept")
            .clicked();
        if fetch.silence() > QUIET {
            ui.label(format!(
                "nothing has come for {} s",
                fetch.silence().as_secs()
            ));
        }
        ui.ctx()
            .request_repaint_after(std::time::Duration::from_secs(1));
    });
    cancel
}
