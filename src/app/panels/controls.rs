//! The panel on the left: model, device, framing, the class picker, the look.

use eframe::egui;
use eframe::egui::{ComboBox, Panel, RichText, ScrollArea, Slider, Ui};

use crate::app::App;
use crate::app::command::Command;
use crate::app::panels::weights_window::progress_ui;
use crate::app::panels::{class_picker, layer_panel, network_menu, preprocessing_panel};
use crate::app::state::State;
use crate::app::widgets::{heading, name_widget};
use crate::input::framing::Framing;
use crate::model::device::DeviceChoice;
use crate::model::{Architecture, ModelChoice, known_weights};
use crate::render::colormap::Colormap;
use crate::render::display_options::DisplayOptions;
use crate::render::heatmap::Scaling;
use crate::render::overlay::Opacity;
use crate::text::printable;

const WIDTH: f32 = 264.0;
/// Height from which the look has a place of its own.
const ROOM_FOR_LOOK: f32 = 480.0;

pub fn show(app: &mut App, ui: &mut Ui) {
    Panel::left("controls")
        .resizable(true)
        .default_size(WIDTH)
        .size_range(220.0..=420.0)
        .show(ui, |ui| {
            // In a low window it is at the end of what is scrolled.
            let stays = ui.available_height() >= ROOM_FOR_LOOK;
            if stays {
                Panel::bottom("look")
                    .frame(egui::Frame::NONE)
                    .show_separator_line(true)
                    .show(ui, |ui| {
                        ui.add_space(4.0);
                        look_ui(app, ui);
                        ui.add_space(4.0);
                    });
            }
            ScrollArea::vertical()
                .id_salt("controls")
                .auto_shrink(false)
                .show(ui, |ui| {
                    ui.add_space(4.0);
                    model_ui(app, ui);
                    preprocessing_panel::input_ui(app, ui);
                    ui.add_space(8.0);
                    layer_panel::layer_panel_ui(app, ui);
                    ui.add_space(8.0);
                    class_picker::class_picker_ui(app, ui);
                    if !stays {
                        ui.add_space(8.0);
                        look_ui(app, ui);
                    }
                });
        });
}

fn model_ui(app: &mut App, ui: &mut Ui) {
    heading(ui, "MODEL");
    model_menu_ui(app, ui);
    if let Some(model) = &app.state.model {
        let info = &model.info;
        let origin = ui.small(format!(
            "{}; {} classes; {}",
            printable::name(&info.short_origin()),
            info.labels.len(),
            info.accuracy
        ));
        origin.on_hover_text(format!(
            "{}\nSHA-256 {}",
            printable::quotation(&info.origin),
            info.sha256
        ));
        if let Some(assumed) = &info.assumed {
            ui.add(egui::Label::new(RichText::new(assumed).small().weak()).wrap());
        }
    }
    network_menu::network_menu_ui(app, ui);
    if app.resnet18.iter().next().is_none() && !runs_resnet18(&app.state) {
        let button = ui.small_button("Get ResNet-18…");
        let button = button.on_hover_ui(|ui| _ = ui.label(known_weights::how_to_get_resnet18()));
        if button.clicked() {
            app.commands.push(Command::ShowWeights);
        }
    }
    if let Some(fetch) = app.fetch.as_ref().filter(|_| !app.show_weights)
        && progress_ui(ui, fetch)
    {
        app.commands.push(Command::CancelFetch);
    }

    let settings = &mut app.state.settings;
    ui.horizontal(|ui| {
        ui.label("Device");
        let used = app
            .state
            .model
            .as_ref()
            .map_or(settings.device, |model| model.device);
        let menu = ComboBox::from_id_salt("device")
            .selected_text(used.to_string())
            .show_ui(ui, |ui| {
                ui.selectable_value(&mut settings.device, DeviceChoice::Auto, "Automatic");
                for status in &app.devices {
                    ui.add_enabled_ui(status.unusable.is_none(), |ui| {
                        let reason = status.unusable.as_deref().unwrap_or_default();
                        ui.selectable_value(
                            &mut settings.device,
                            status.choice,
                            status.choice.to_string(),
                        )
                        .on_disabled_hover_text(reason);
                    });
                    if let Some(reason) = &status.unusable {
                        ui.small(reason);
                    }
                }
            });
        name_widget(ui, &menu.response, "Device");
    });
    let notices = app.state.model.iter().flat_map(|model| &model.notices);
    for notice in notices {
        ui.label(
            RichText::new(notice)
                .small()
                .color(ui.visuals().warn_fg_color),
        );
    }

    let settings = &mut app.state.settings;
    ui.horizontal(|ui| {
        ui.label("Framing");
        for framing in Framing::ALL {
            ui.selectable_value(&mut settings.framing, framing, framing.name())
                .on_hover_text(framing.summary());
        }
    });
}

/// The model that runs, and those that can be chosen.
fn model_menu_ui(app: &mut App, ui: &mut Ui) {
    let path = |path: &std::path::PathBuf| printable::quotation(&path.to_string_lossy());
    let found = app.resnet18.iter().next().map(path);
    let recent = app.state.settings.recent.clone();
    let offered: Vec<ModelChoice> = app
        .resnet18
        .others
        .iter()
        .map(|path| ModelChoice::File(path.clone()))
        .filter(|choice| !recent.contains(choice))
        .collect();
    let now = app.state.settings.model.clone();
    let shown_name = match &app.state.model {
        Some(model) => model.info.architecture.name().to_owned(),
        None => "loading…".into(),
    };
    let wide = ui.available_width();
    let commands = &mut app.commands;
    let menu = ComboBox::from_id_salt("model")
        .selected_text(shown_name)
        .width(wide)
        .height(400.0)
        .show_ui(ui, |ui| {
            let mut offer = |ui: &mut Ui, choice: &ModelChoice, hint: &str| {
                let item = ui.selectable_label(now == *choice, printable::name(&choice.label()));
                let item = item.on_hover_text(hint).on_disabled_hover_text(hint);
                if item.clicked() && now != *choice {
                    commands.push(Command::UseModel(choice.clone()));
                }
            };
            offer(
                ui,
                &ModelChoice::Auto,
                "ResNet-18 if torchvision's weights are on this computer, else the built-in model",
            );
            offer(ui, &ModelChoice::BuiltIn, "Part of the program");
            ui.add_enabled_ui(found.is_some(), |ui| {
                let hint = found
                    .clone()
                    .unwrap_or_else(known_weights::how_to_get_resnet18);
                offer(ui, &ModelChoice::ResNet18, &hint);
            });
            if !offered.is_empty() {
                ui.separator();
                ui.small("In the weights folders");
            }
            for choice in &offered {
                if let ModelChoice::File(path) = choice {
                    offer(ui, choice, &printable::quotation(&path.to_string_lossy()));
                }
            }
            if !recent.is_empty() {
                ui.separator();
                ui.small("Recent");
            }
            for choice in &recent {
                match choice {
                    ModelChoice::File(path) | ModelChoice::Within(path, _) => {
                        offer(ui, choice, &printable::quotation(&path.to_string_lossy()));
                    }
                    choice => offer(ui, choice, "From the hub's cache"),
                }
            }
            ui.separator();
            if ui.button("Open weights…").clicked() {
                commands.push(Command::AskForModel);
                ui.close();
            }
            if ui.button("Get weights…").clicked() {
                commands.push(Command::ShowWeights);
                ui.close();
            }
        });
    name_widget(ui, &menu.response, "Model");
}

fn runs_resnet18(state: &State) -> bool {
    let model = state.model.as_ref();
    model.is_some_and(|model| model.info.architecture == Architecture::ResNet18)
}

fn look_ui(app: &mut App, ui: &mut Ui) {
    // Differences of two classes are always signed.
    let difference = app.state.shows_difference();
    let display_options = &mut app.state.settings.display_options;
    heading(ui, "LOOK");
    let mut percent = 100.0 * display_options.opacity.share();
    ui.spacing_mut().slider_width = (ui.available_width() - 120.0).max(60.0);
    let slider = Slider::new(&mut percent, 0.0..=100.0)
        .integer()
        .suffix(" %")
        .text("Opacity");
    if ui.add(slider).changed() {
        display_options.opacity = Opacity::new(percent / 100.0).unwrap_or(display_options.opacity);
    }
    let scaling = if difference {
        Scaling::Signed
    } else {
        display_options.scaling
    };
    ui.horizontal(|ui| {
        ui.label("Colors");
        let menu = ComboBox::from_id_salt("colors")
            .selected_text(display_options.colormap_for(scaling).name())
            .show_ui(ui, |ui| {
                let (chosen, all) = match scaling {
                    Scaling::Signed => (&mut display_options.diverging, &Colormap::DIVERGING[..]),
                    _ => (&mut display_options.colormap, &Colormap::SEQUENTIAL[..]),
                };
                for &colormap in all {
                    ui.selectable_value(chosen, colormap, colormap.name())
                        .on_hover_text(colormap.summary());
                }
            });
        name_widget(ui, &menu.response, "Colors");
    });
    let colormap = display_options.colormap_for(scaling);
    let summary = RichText::new(colormap.summary()).small();
    ui.add(
        egui::Label::new(match colormap {
            Colormap::Jet => summary.color(ui.visuals().warn_fg_color),
            _ => summary.weak(),
        })
        .truncate(),
    );
    let mut threshold = f32::from(display_options.threshold);
    let slider = Slider::new(&mut threshold, 0.0..=f32::from(DisplayOptions::MOST_HIDDEN))
        .integer()
        .suffix(" %")
        .text("Only above");
    let slider = ui.add(slider);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 95
    if slider
        .on_hover_text("Heat below this part of the range is not drawn; signed maps count from zero to both sides")
        .changed()
    {
        display_options.threshold = threshold as u8;
    }
    evidence_ui(ui, display_options, difference);
}

/// Positive or signed, and how positive evidence is scaled.
fn evidence_ui(ui: &mut Ui, display_options: &mut DisplayOptions, difference: bool) {
    ui.horizontal(|ui| {
        ui.label("Evidence");
        if difference {
            ui.weak("signed")
                .on_hover_text("The difference of two classes' maps has no other meaning");
            return;
        }
        let signed = display_options.scaling == Scaling::Signed;
        let positive = ui.selectable_label(!signed, "positive");
        if positive
            .on_hover_text("What speaks for the class")
            .clicked()
            && signed
        {
            display_options.scaling = Scaling::Max;
        }
        let both = ui.selectable_label(signed, "signed");
        if both
            .on_hover_text("What speaks for the class and what against it; zero in the middle")
            .clicked()
        {
            display_options.scaling = Scaling::Signed;
        }
    });
    ui.add_enabled_ui(display_options.scaling != Scaling::Signed && !difference, |ui| {
        ui.horizontal(|ui| {
            ui.label("Scaling");
            for scaling in Scaling::POSITIVE {
                let meaning = match scaling {
                    Scaling::MinMax => "From the smallest to the largest cell, as the grad-cam package draws it: the least evidence is drawn as none",
                    _ => "Divided by the largest cell: zero stays zero",
                };
                ui.selectable_value(&mut display_options.scaling, scaling, scaling.name())
                    .on_hover_text(meaning)
                    .on_disabled_hover_text("A signed map reaches as far to both sides as its largest cell");
            }
        });
    });
}
