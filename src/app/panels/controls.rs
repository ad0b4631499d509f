//! The left panel: model, device, framing, class picker, display options.

use eframe::egui;
use eframe::egui::{ComboBox, Panel, RichText, ScrollArea, Slider, Ui};

use crate::app::background::downloads::Downloads;
use crate::app::panels::weights_window::progress_ui;
use crate::app::panels::{
    class_picker, gray_levels, layer_panel, network_menu, output_menu, preprocessing_panel,
};
use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::command::Command;
use crate::app::state::dialogs::Dialog;
use crate::app::textures::Textures;
use crate::app::widgets::{heading, name_widget};
use crate::input::framing::Framing;
use crate::labels::ClassId;
use crate::model::device::{DeviceChoice, DeviceStatus};
use crate::model::{Architecture, ModelChoice, known_weights};
use crate::render::colormap::Colormap;
use crate::render::display_options::DisplayOptions;
use crate::render::heatmap::Scaling;
use crate::render::overlay::Opacity;
use crate::text::printable;

const WIDTH: f32 = 264.0;
/// Minimum window height with a fixed area for the display options.
const ROOM_FOR_LOOK: f32 = 480.0;

/// What can be chosen on this computer.
pub struct Offers<'a> {
    /// The devices.
    pub devices: &'a [DeviceStatus],
    /// The weights.
    pub downloads: &'a Downloads,
}

/// Draws the panel. `listed` is the class that the class table last scrolled to.
pub fn show(
    ui: &mut Ui,
    state: &State,
    offers: &Offers,
    (textures, listed): (&mut Textures, &mut Option<ClassId>),
    actions: &mut Actions,
) {
    Panel::left("controls")
        .resizable(true)
        .default_size(WIDTH)
        .size_range(220.0..=420.0)
        .show(ui, |ui| {
            // In a low window, the display options scroll with the rest.
            let stays = ui.available_height() >= ROOM_FOR_LOOK;
            if stays {
                Panel::bottom("look")
                    .frame(egui::Frame::NONE)
                    .show_separator_line(true)
                    .show(ui, |ui| {
                        ui.add_space(4.0);
                        look_ui(ui, state, actions);
                        ui.add_space(4.0);
                    });
            }
            ScrollArea::vertical()
                .id_salt("controls")
                .auto_shrink(false)
                .show(ui, |ui| {
                    ui.add_space(4.0);
                    model_ui(ui, state, offers, actions);
                    preprocessing_panel::input_ui(ui, state, actions);
                    ui.add_space(8.0);
                    layer_panel::layer_panel_ui(ui, state, textures, actions);
                    ui.add_space(8.0);
                    class_picker::class_picker_ui(ui, state, listed, actions);
                    if !stays {
                        ui.add_space(8.0);
                        look_ui(ui, state, actions);
                    }
                });
        });
}

fn model_ui(ui: &mut Ui, state: &State, offers: &Offers, actions: &mut Actions) {
    let downloads = offers.downloads;
    heading(ui, "MODEL");
    model_menu_ui(ui, state, downloads, actions);
    if let Some(model) = &state.model {
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
    network_menu::network_menu_ui(ui, state, actions);
    output_menu::output_menu_ui(ui, state, actions);
    if downloads.resnet18.iter().next().is_none() && !runs_resnet18(state) {
        let button = ui.small_button("Download ResNet-18…");
        let button = button.on_hover_ui(|ui| _ = ui.label(known_weights::how_to_get_resnet18()));
        if button.clicked() {
            actions.push(Action::ShowDialog(Dialog::Weights, true));
        }
    }
    if let Some(fetch) = downloads.fetch.as_ref().filter(|_| !state.dialogs.weights)
        && progress_ui(ui, fetch)
    {
        actions.push(Command::CancelFetch);
    }
    device_ui(ui, state, offers, actions);
    let notices = state.model.iter().flat_map(|model| &model.notices);
    for notice in notices {
        ui.label(
            RichText::new(notice)
                .small()
                .color(ui.visuals().warn_fg_color),
        );
    }
    framing_ui(ui, state, actions);
}

fn framing_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let info = state.model.as_ref().map(|model| &model.info);
    let wanted = state.settings.framing;
    let used = info.map_or(wanted, |info| info.framing(wanted));
    ui.horizontal_wrapped(|ui| {
        // So that all of them fit in one line.
        ui.spacing_mut().item_spacing.x = 3.0;
        ui.spacing_mut().button_padding.x = 3.0;
        ui.label("Framing");
        for framing in Framing::ALL {
            let allowed = info.is_none_or(|info| info.allows(framing));
            let mut hint = framing.summary().to_owned();
            if info.is_some_and(|info| info.own_framing == Some(framing)) {
                hint += "\nThe model's own framing.";
            }
            let button = egui::Button::selectable(framing == used, framing.name());
            let button = ui.add_enabled(allowed, button);
            let button = button.on_hover_text(hint).on_disabled_hover_text(
                "The network takes inputs of one size only, so a photo of another shape can't be its input.",
            );
            if button.clicked() && framing != wanted {
                actions.push(Action::SetFraming(framing));
            }
        }
    });
    gray_levels::gray_levels_ui(ui, state, actions);
}

fn device_ui(ui: &mut Ui, state: &State, offers: &Offers, actions: &mut Actions) {
    let chosen = state.settings.device;
    let mut wanted = chosen;
    ui.horizontal(|ui| {
        ui.label("Device");
        let model = state.model.as_ref();
        let used = model.map_or(chosen, |model| model.device);
        let menu = ComboBox::from_id_salt("device")
            .selected_text(used.to_string())
            .show_ui(ui, |ui| {
                ui.selectable_value(&mut wanted, DeviceChoice::Auto, "Automatic");
                for status in offers.devices {
                    ui.add_enabled_ui(status.unusable.is_none(), |ui| {
                        let reason = status.unusable.as_deref().unwrap_or_default();
                        ui.selectable_value(&mut wanted, status.choice, status.choice.to_string())
                            .on_disabled_hover_text(reason);
                    });
                    if let Some(reason) = &status.unusable {
                        ui.small(reason);
                    }
                }
            });
        name_widget(ui, &menu.response, "Device");
    });
    actions.set(&chosen, wanted, Action::SetDevice);
}

/// The current model, and the models to choose from.
fn model_menu_ui(ui: &mut Ui, state: &State, downloads: &Downloads, actions: &mut Actions) {
    let path = |path: &std::path::PathBuf| printable::quotation(&path.to_string_lossy());
    let found = downloads.resnet18.iter().next().map(path);
    let recent = &state.settings.recent;
    let offered: Vec<ModelChoice> = downloads
        .resnet18
        .others
        .iter()
        .map(|path| ModelChoice::File(path.clone()))
        .filter(|choice| !recent.contains(choice))
        .collect();
    let now = &state.settings.model;
    let shown_name = match &state.model {
        Some(model) => model.info.architecture.clone(),
        None => "loading…".into(),
    };
    let wide = ui.available_width();
    let menu = ComboBox::from_id_salt("model")
        .selected_text(shown_name)
        .width(wide)
        .height(400.0)
        .show_ui(ui, |ui| {
            let mut offer = |ui: &mut Ui, choice: &ModelChoice, hint: &str| {
                let item = ui.selectable_label(*now == *choice, printable::name(&choice.label()));
                let item = item.on_hover_text(hint).on_disabled_hover_text(hint);
                if item.clicked() && *now != *choice {
                    actions.push(Action::UseModel(choice.clone()));
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
            for choice in recent {
                match choice {
                    ModelChoice::File(path) | ModelChoice::Within(path, _) => {
                        offer(ui, choice, &printable::quotation(&path.to_string_lossy()));
                    }
                    choice => offer(ui, choice, "From the hub's cache"),
                }
            }
            ui.separator();
            if ui.button("Open weights…").clicked() {
                actions.push(Command::AskForModel);
                ui.close();
            }
            if ui.button("Download weights…").clicked() {
                actions.push(Action::ShowDialog(Dialog::Weights, true));
                ui.close();
            }
        });
    name_widget(ui, &menu.response, "Model");
}

fn runs_resnet18(state: &State) -> bool {
    let model = state.model.as_ref();
    model.is_some_and(|model| model.info.architecture == Architecture::ResNet18.name())
}

fn look_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    // Differences of two classes are always signed.
    let difference = state.shows_difference();
    let display_options = &state.settings.display_options;
    heading(ui, "LOOK");
    let mut percent = 100.0 * display_options.opacity.share();
    ui.spacing_mut().slider_width = (ui.available_width() - 120.0).max(60.0);
    let slider = Slider::new(&mut percent, 0.0..=100.0)
        .integer()
        .suffix(" %")
        .text("Opacity");
    if ui.add(slider).changed() {
        let opacity = Opacity::new(percent / 100.0);
        actions.extend(opacity.map(Action::SetOpacity));
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
                let signed = scaling == Scaling::Signed;
                let (chosen, all) = if signed {
                    (display_options.diverging, &Colormap::DIVERGING[..])
                } else {
                    (display_options.colormap, &Colormap::SEQUENTIAL[..])
                };
                let mut wanted = chosen;
                for &colormap in all {
                    ui.selectable_value(&mut wanted, colormap, colormap.name())
                        .on_hover_text(colormap.summary());
                }
                actions.set(&chosen, wanted, |colormap| {
                    if signed {
                        Action::SetDivergingColormap(colormap)
                    } else {
                        Action::SetColormap(colormap)
                    }
                });
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
        .text("Threshold");
    let slider = ui.add(slider);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 95
    if slider
        .on_hover_text("Heat below this part of the range is hidden; in signed maps the distance from zero counts")
        .changed()
    {
        actions.push(Action::SetThreshold(threshold as u8));
    }
    evidence_ui(ui, display_options.scaling, difference, actions);
}

/// Positive or signed evidence, and how positive evidence is scaled.
fn evidence_ui(ui: &mut Ui, now: Scaling, difference: bool, actions: &mut Actions) {
    ui.horizontal(|ui| {
        ui.label("Evidence");
        if difference {
            ui.weak("signed")
                .on_hover_text("The difference of two classes is always signed");
            return;
        }
        let signed = now == Scaling::Signed;
        let positive = ui.selectable_label(!signed, "positive");
        if positive.on_hover_text("Evidence for the class").clicked() && signed {
            actions.push(Action::SetScaling(Scaling::Max));
        }
        let both = ui.selectable_label(signed, "signed");
        if both
            .on_hover_text("Evidence for and against the class; zero is in the middle")
            .clicked()
            && !signed
        {
            actions.push(Action::SetScaling(Scaling::Signed));
        }
    });
    ui.add_enabled_ui(now != Scaling::Signed && !difference, |ui| {
        let mut wanted = now;
        ui.horizontal(|ui| {
            ui.label("Scaling");
            for scaling in Scaling::POSITIVE {
                let meaning = match scaling {
                    Scaling::MinMax => "From the smallest to the largest cell, as the grad-cam package draws it: the smallest evidence is drawn as none",
                    _ => "Divided by the largest cell: zero stays zero",
                };
                ui.selectable_value(&mut wanted, scaling, scaling.name())
                    .on_hover_text(meaning)
                    .on_disabled_hover_text("The range of a signed map is symmetric: it is set by the largest absolute value");
            }
        });
        actions.set(&now, wanted, Action::SetScaling);
    });
}
