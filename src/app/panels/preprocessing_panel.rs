//! A section of the left panel: class names and preprocessing.

use std::ops::RangeInclusive;

use eframe::egui;
use eframe::egui::{ComboBox, DragValue, Grid, RichText, Ui};

use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::command::Command;
use crate::app::widgets::name_widget;
use crate::input::framing::{Framing, InputSize};
use crate::input::resample::Resampling;
use crate::model::ModelInfo;
use crate::model::preprocessing::{ChannelOrder, PreprocessChoice, Preprocessing, Preset};
use crate::text::printable;

/// Class names and preprocessing; collapsed by default, because most users need not change them.
pub fn input_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let Some(model) = &state.model else {
        return;
    };
    let info = &model.info;
    let choice = state.settings.preprocess;
    let mut wanted = choice;
    ui.collapsing(RichText::new("Class names and input").small(), |ui| {
        ui.label(format!(
            "Class names: {}",
            printable::name(&info.labels_from)
        ));
        ui.horizontal(|ui| {
            if ui
                .button("Open names…")
                .on_hover_text("A text file with one name per line, or JSON")
                .clicked()
            {
                actions.push(Command::AskForLabels);
            }
            if state.settings.labels.is_some() && ui.button("Use default names").clicked() {
                actions.push(Action::UseLabels(None));
            }
        });
        ui.add_space(4.0);
        let framing = info.framing(state.settings.framing);
        preprocessing_ui(ui, &mut wanted, (info, framing));
    });
    guess_ui(ui, &mut wanted, info);
    edited_ui(ui, &mut wanted, info);
    actions.set(&choice, wanted, Action::SetPreprocess);
}

/// If the preprocessing is a guess, says so even if the section is collapsed, and offers the usual
/// alternatives.
fn guess_ui(ui: &mut Ui, choice: &mut PreprocessChoice, info: &ModelInfo) {
    if !info.preprocessing_from.is_guess {
        return;
    }
    let now = choice.over(info.preprocessing);
    // By a preset, or by hand: somebody knows.
    let is_checked = matches!(choice, PreprocessChoice::Preset(_)) || now != info.preprocessing;
    let presets = Preset::ALL;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(4.0, 2.0);
        let text = if is_checked {
            RichText::new("Pixels:").small()
        } else {
            let warning = ui.visuals().warn_fg_color;
            RichText::new("Pixels guessed, check:").small().color(warning)
        };
        ui.label(text).on_hover_text(format!(
            "No file says how photos were preprocessed when the model was trained. The guess: {} ({}). A wrong one gives plausible and wrong maps.",
            info.preprocessing_from.source, info.preprocessing
        ));
        for preset in presets {
            let is_on = Preset::of(&now) == Some(preset);
            let chip = ui.selectable_label(is_on, RichText::new(preset.name()).small());
            let chip = chip.on_hover_text(preset.summary());
            chip.widget_info(|| {
                let label = format!("Pixels as {}", preset.name());
                egui::WidgetInfo::selected(egui::Role::Button, true, is_on, label)
            });
            if chip.clicked() {
                *choice = PreprocessChoice::Preset(preset);
            }
        }
    });
}

#[allow(clippy::float_cmp)] // a changed value
/// Shows differences from the model's own preprocessing, even if the section is collapsed.
fn edited_ui(ui: &mut Ui, choice: &mut PreprocessChoice, info: &ModelInfo) {
    let (own, now) = (info.preprocessing, choice.over(info.preprocessing));
    let edited = [
        (own.mean != now.mean, "mean"),
        (own.std != now.std, "std"),
        (own.order != now.order, "channels"),
        (own.size != now.size, "input size"),
        (own.resampling != now.resampling, "resizing"),
        (own.pad != now.pad, "padding"),
    ];
    let edited: Vec<&str> = edited
        .into_iter()
        .filter_map(|(differs, name)| differs.then_some(name))
        .collect();
    if edited.is_empty() {
        return;
    }
    ui.horizontal_wrapped(|ui| {
        let text = format!("Not the model's own input: {}", edited.join(", "));
        let warning = ui.visuals().warn_fg_color;
        ui.label(RichText::new(text).small().color(warning))
            .on_hover_text(format!("Now {now}.\nThe model's own: {own}."));
        let reset = ui.small_button("Reset");
        if reset
            .on_hover_text("Use the model's own preprocessing")
            .clicked()
        {
            *choice = PreprocessChoice::Model;
        }
    });
}

/// All of the preprocessing; the color beside the photo only for a letterbox.
fn preprocessing_ui(
    ui: &mut Ui,
    choice: &mut PreprocessChoice,
    (info, framing): (&ModelInfo, Framing),
) {
    let own = format!("The model's ({})", info.preprocessing_from);
    let name = match choice {
        PreprocessChoice::Model => own.clone(),
        PreprocessChoice::Preset(preset) => preset.name().into(),
        PreprocessChoice::Custom(_) => "By hand".into(),
    };
    ui.horizontal(|ui| {
        ui.label("Pixels");
        let menu = ComboBox::from_id_salt("preprocessing")
            .selected_text(name)
            .width(ui.available_width())
            .truncate()
            .show_ui(ui, |ui| {
                ui.selectable_value(choice, PreprocessChoice::Model, own);
                for preset in Preset::ALL {
                    ui.selectable_value(choice, PreprocessChoice::Preset(preset), preset.name())
                        .on_hover_text(preset.summary());
                }
            });
        name_widget(ui, &menu.response, "Preprocessing");
    });
    let mut now = choice.over(info.preprocessing);
    Grid::new("preprocessing values")
        .num_columns(2)
        .spacing([6.0, 4.0])
        .show(ui, |ui| {
            let is_gray = info.needs.channels == 1;
            statistics_ui(ui, ("mean", -1.0..=2.0), &mut now.mean, is_gray);
            statistics_ui(ui, ("std", 0.001..=10.0), &mut now.std, is_gray);
            if !is_gray {
                ui.label("channels");
                let order = &mut now.order;
                menu_ui(ui, "Channels", order, ChannelOrder::ALL, ChannelOrder::name);
                ui.end_row();
            }
            size_ui(ui, &mut now, info);
            ui.label("resizing");
            let how = &mut now.resampling;
            menu_ui(ui, "Resizing", how, Resampling::ALL, Resampling::name);
            ui.end_row();
            if framing == Framing::Letterbox {
                padding_ui(ui, &mut now);
            }
        });
    if now != choice.over(info.preprocessing) && now.check().is_ok() {
        *choice = PreprocessChoice::Custom(now);
    }
}

/// A menu of a few values.
fn menu_ui<T: Copy + PartialEq>(
    ui: &mut Ui,
    label: &str,
    value: &mut T,
    all: impl IntoIterator<Item = T>,
    name: impl Fn(T) -> &'static str,
) {
    let menu = ComboBox::from_id_salt(label)
        .selected_text(name(*value))
        .show_ui(ui, |ui| {
            for other in all {
                ui.selectable_value(value, other, name(other));
            }
        });
    name_widget(ui, &menu.response, label);
}

/// A number for each color, or one for all channels.
fn statistics_ui(
    ui: &mut Ui,
    (name, range): (&str, RangeInclusive<f32>),
    values: &mut [f32; 3],
    is_gray: bool,
) {
    ui.label(name);
    ui.horizontal(|ui| {
        // Three numbers fit beside their name.
        ui.spacing_mut().item_spacing.x = 4.0;
        ui.spacing_mut().button_padding.x = 4.0;
        let mut field = |value: &mut f32, channel: &str| {
            let field = DragValue::new(value)
                .range(range.clone())
                .speed(0.001)
                .max_decimals(4)
                .update_while_editing(false);
            named_field(ui, field, &format!("{name} {channel}"))
        };
        if is_gray {
            let before = values.iter().sum::<f32>() / 3.0;
            let mut gray = before;
            field(&mut gray, "gray");
            if gray.to_bits() != before.to_bits() {
                *values = [gray; 3];
            }
            return;
        }
        for (value, channel) in values.iter_mut().zip(["red", "green", "blue"]) {
            field(value, channel);
        }
    });
    ui.end_row();
}

fn named_field(ui: &mut Ui, field: DragValue, label: &str) -> egui::Response {
    let field = ui.add(field);
    field.widget_info(|| egui::WidgetInfo::labeled(egui::Role::SpinButton, true, label));
    field
}

/// Width, height and short side.
fn size_ui(ui: &mut Ui, now: &mut Preprocessing, info: &ModelInfo) {
    fn field(value: &mut usize, range: RangeInclusive<usize>) -> DragValue<'_> {
        DragValue::new(value)
            .range(range)
            .speed(1.0)
            .update_while_editing(false)
    }
    let before = now.size;
    let InputSize {
        mut width,
        mut height,
        mut short,
        rounds_down,
    } = before;
    ui.label("input size");
    ui.horizontal(|ui| {
        if info.needs.fixed_size.is_some() {
            ui.label(format!("{width} × {height}"))
                .on_hover_text("Width and height: the only size that the network takes");
            return;
        }
        named_field(ui, field(&mut width, InputSize::SIDES), "input size")
            .on_hover_text("Width; a square stays a square");
        ui.label("×");
        named_field(ui, field(&mut height, InputSize::SIDES), "input height")
            .on_hover_text("Height");
    });
    ui.end_row();
    ui.label("short side");
    ui.horizontal(|ui| {
        let least = before.width.min(before.height);
        let hint = format!(
            "The short side of the photo before framing crop cuts {least} pixels out of it; framing whole uses the nearest multiple of 32"
        );
        named_field(ui, field(&mut short, InputSize::shorts(least)), "short side").on_hover_text(hint);
        ui.small(format!("crop keeps {} %", before.percent_kept()));
    });
    ui.end_row();
    if width != before.width && before.width == before.height {
        height = width;
    }
    let size = if (width, height) == (before.width, before.height) {
        InputSize::new(width, height, short)
    } else {
        InputSize::of_sides(width, height)
    };
    now.size = size.map_or(before, |size| size.with_rounding_down(rounds_down));
}

/// The color beside the photo in a letterbox.
fn padding_ui(ui: &mut Ui, now: &mut Preprocessing) {
    const COLORS: [(Option<[u8; 3]>, &str); 4] = [
        (None, "the mean"),
        (Some([0; 3]), "black"),
        (Some([114; 3]), "gray (114)"),
        (Some([255; 3]), "white"),
    ];
    ui.label("padding");
    let known = COLORS.into_iter().find(|(color, _)| *color == now.pad);
    let [red, green, blue] = now.pad_color();
    let name = known.map_or(format!("{red}, {green}, {blue}"), |(_, name)| name.into());
    let menu = ComboBox::from_id_salt("padding")
        .selected_text(name)
        .show_ui(ui, |ui| {
            for (color, name) in COLORS {
                ui.selectable_value(&mut now.pad, color, name);
            }
        });
    name_widget(ui, &menu.response, "Padding");
    ui.end_row();
}
