//! The panel on the left: model, device, framing, the class picker, the look.

use eframe::egui::{self, ComboBox, Panel, RichText, ScrollArea, Slider, Ui};

use super::command::Command;
use super::state::State;
use super::{App, class_picker};
use crate::colormap::Colormap;
use crate::export::Look;
use crate::framing::Framing;
use crate::heatmap::Scaling;
use crate::model::device::DeviceChoice;
use crate::model::{Architecture, ModelChoice, catalog};
use crate::overlay::Opacity;

const WIDTH: f32 = 264.0;

pub fn show(app: &mut App, ui: &mut Ui) {
    Panel::left("controls")
        .resizable(true)
        .default_size(WIDTH)
        .size_range(220.0..=420.0)
        .show(ui, |ui| {
            Panel::bottom("look")
                .frame(egui::Frame::NONE)
                .show_separator_line(true)
                .show(ui, |ui| {
                    ui.add_space(4.0);
                    look_ui(ui, &mut app.state.settings.look);
                    ui.add_space(4.0);
                });
            ScrollArea::vertical()
                .id_salt("controls")
                .auto_shrink(false)
                .show(ui, |ui| {
                    ui.add_space(4.0);
                    model_ui(app, ui);
                    ui.add_space(8.0);
                    class_picker::class_picker_ui(app, ui);
                });
        });
}

fn heading(ui: &mut Ui, text: &str) {
    ui.label(
        RichText::new(text)
            .small()
            .strong()
            .color(ui.visuals().weak_text_color()),
    );
}

fn model_ui(app: &mut App, ui: &mut Ui) {
    heading(ui, "MODEL");
    let found = app
        .resnet18
        .as_deref()
        .map(|path| path.display().to_string());
    let settings = &mut app.state.settings;
    let shown_name = match &app.state.model {
        Some(model) => model.info.architecture.name().to_owned(),
        None => "loading…".into(),
    };
    let wide = ui.available_width();
    let menu = ComboBox::from_id_salt("model")
        .selected_text(shown_name)
        .width(wide)
        .show_ui(ui, |ui| {
            ui.selectable_value(&mut settings.model, ModelChoice::Auto, "Automatic")
                .on_hover_text(
                    "ResNet-18 if its weights are on this computer, else the built-in model",
                );
            let built_in = format!("{} (built in)", Architecture::EfficientNetLite0.name());
            ui.selectable_value(&mut settings.model, ModelChoice::BuiltIn, built_in);
            ui.add_enabled_ui(found.is_some(), |ui| {
                ui.selectable_value(
                    &mut settings.model,
                    ModelChoice::ResNet18,
                    Architecture::ResNet18.name(),
                )
                .on_hover_text(found.clone().unwrap_or_default())
                .on_disabled_hover_text(catalog::how_to_get_resnet18());
            });
            if let ModelChoice::File(path) = settings.model.clone() {
                let name = crate::photo::display_name(&path);
                ui.selectable_value(&mut settings.model, ModelChoice::File(path), name);
            }
            ui.separator();
            if ui.button("Open weights…").clicked() {
                app.commands.push(Command::AskForModel);
                ui.close();
            }
        });
    name_widget(ui, &menu.response, "Model");

    if let Some(model) = &app.state.model {
        let info = &model.info;
        let origin = ui.small(format!(
            "{}; {} classes; {}",
            origin(&info.origin),
            info.labels.len(),
            info.accuracy
        ));
        origin.on_hover_text(format!("{}\nSHA-256 {}", info.origin, info.sha256));
    }
    if found.is_none() && !runs_resnet18(&app.state) {
        ui.collapsing(RichText::new("Get ResNet-18").small(), |ui| {
            ui.small(catalog::how_to_get_resnet18());
        });
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

    ui.horizontal(|ui| {
        ui.label("Framing");
        for framing in Framing::ALL {
            ui.selectable_value(&mut settings.framing, framing, framing.name())
                .on_hover_text(framing.summary());
        }
    });
}

fn runs_resnet18(state: &State) -> bool {
    let model = state.model.as_ref();
    model.is_some_and(|model| model.info.architecture == Architecture::ResNet18)
}

/// A path's last part is enough where there is little room.
fn origin(origin: &str) -> &str {
    origin.rsplit(['/', '\\']).next().unwrap_or(origin)
}

/// Menus have their choice for a text, but need a name as well.
fn name_widget(ui: &Ui, response: &egui::Response, name: &str) {
    let enabled = ui.is_enabled();
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, enabled, name));
}

fn look_ui(ui: &mut Ui, look: &mut Look) {
    heading(ui, "LOOK");
    let mut percent = 100.0 * look.opacity.share();
    ui.spacing_mut().slider_width = (ui.available_width() - 120.0).max(60.0);
    let slider = Slider::new(&mut percent, 0.0..=100.0)
        .integer()
        .suffix(" %")
        .text("Opacity");
    if ui.add(slider).changed() {
        look.opacity = Opacity::new(percent / 100.0).unwrap_or(look.opacity);
    }
    ui.horizontal(|ui| {
        ui.label("Colours");
        let menu = ComboBox::from_id_salt("colours")
            .selected_text(look.colormap.name())
            .show_ui(ui, |ui| {
                for colormap in Colormap::ALL {
                    ui.selectable_value(&mut look.colormap, colormap, colormap.name());
                }
            });
        name_widget(ui, &menu.response, "Colours");
    });
    ui.horizontal(|ui| {
        ui.label("Scaling");
        for scaling in Scaling::ALL {
            let meaning = match scaling {
                Scaling::Max => "Divided by the largest cell: zero stays zero",
                Scaling::MinMax => "From the smallest to the largest cell, as the grad-cam package draws it: the least evidence is drawn as none",
            };
            ui.selectable_value(&mut look.scaling, scaling, scaling.name()).on_hover_text(meaning);
        }
    });
}
