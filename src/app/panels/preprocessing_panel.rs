//! A section of the left panel: class names and preprocessing.

use eframe::egui;
use eframe::egui::{ComboBox, DragValue, RichText, Ui};

use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::command::Command;
use crate::app::widgets::name_widget;
use crate::input::framing::InputSize;
use crate::model::ModelInfo;
use crate::model::preprocessing::{PreprocessChoice, Preprocessing, Preset};
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
        preprocessing_ui(ui, &mut wanted, info);
    });
    edited_ui(ui, &mut wanted, info);
    actions.set(&choice, wanted, Action::SetPreprocess);
}

/// Shows differences from the model's own preprocessing, even if the section is collapsed.
fn edited_ui(ui: &mut Ui, choice: &mut PreprocessChoice, info: &ModelInfo) {
    let (own, now) = (info.preprocessing, choice.over(info.preprocessing));
    let differs = |edited: Preprocessing, name| (edited != own).then_some(name);
    let edited = [
        differs(
            Preprocessing {
                mean: now.mean,
                ..own
            },
            "mean",
        ),
        differs(
            Preprocessing {
                std: now.std,
                ..own
            },
            "std",
        ),
        differs(
            Preprocessing {
                size: now.size,
                ..own
            },
            "input size",
        ),
    ];
    let edited: Vec<&str> = edited.into_iter().flatten().collect();
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

fn preprocessing_ui(ui: &mut Ui, choice: &mut PreprocessChoice, info: &ModelInfo) {
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
                    ui.selectable_value(choice, PreprocessChoice::Preset(preset), preset.name());
                }
            });
        name_widget(ui, &menu.response, "Preprocessing");
    });
    let mut now = choice.over(info.preprocessing);
    let mut row = |name: &str, values: &mut [f32; 3], range: std::ops::RangeInclusive<f32>| {
        ui.horizontal(|ui| {
            ui.label(name);
            for (value, channel) in values.iter_mut().zip(["red", "green", "blue"]) {
                let field = DragValue::new(value)
                    .range(range.clone())
                    .speed(0.001)
                    .max_decimals(4)
                    .update_while_editing(false);
                let field = ui.add(field);
                let label = format!("{name} {channel}");
                field.widget_info(|| {
                    egui::WidgetInfo::labeled(egui::Role::SpinButton, true, &label)
                });
            }
        });
    };
    row("mean", &mut now.mean, -1.0..=2.0);
    row("std", &mut now.std, 0.001..=10.0);
    let mut side = now.size.width;
    ui.horizontal(|ui| {
        ui.label("input size");
        let field = DragValue::new(&mut side)
            .range(InputSize::SIDES)
            .speed(1.0)
            .update_while_editing(false);
        let field = ui.add(field);
        field.widget_info(|| egui::WidgetInfo::labeled(egui::Role::SpinButton, true, "input size"));
        ui.small(format!("short side {}", now.size.short));
    });
    if side != now.size.width
        && let Ok(size) = InputSize::of_side(side)
    {
        now.size = size;
    }
    if now != choice.over(info.preprocessing) && now.check().is_ok() {
        *choice = PreprocessChoice::Custom(now);
    }
}
