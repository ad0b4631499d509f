//! The output that is explained, how its logits become scores, and the check of the gradients.

use eframe::egui::{ComboBox, Label, RichText, Ui};

use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::widgets::name_widget;
use crate::model::{ModelChoice, ModelInfo, OutputInfo, Scores, Selection};
use crate::text::printable;

/// Draws the lines of the model section that say what the network's answer is.
pub fn output_menu_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let Some(model) = &state.model else {
        return;
    };
    let info = &model.info;
    if let Some(file) = model.choice.file() {
        let chosen = |output: &OutputInfo| info.network.output.as_ref() == Some(&output.name);
        outputs_ui(ui, info, chosen, |output| {
            let selection = Selection {
                output: Some(output.name.clone()),
                ..info.network.clone()
            };
            let choice = ModelChoice::Within(file.to_owned(), Box::new(selection));
            actions.push(Action::UseModel(choice));
        });
    }
    scores_ui(ui, state, info, actions);
    if let Some(check) = info.gradient_check {
        let words = RichText::new(check.to_string()).small();
        let words = if check.is_failed() {
            words.color(ui.visuals().warn_fg_color)
        } else {
            words.weak()
        };
        let label = ui.add(Label::new(words).wrap());
        label.on_hover_text(check.meaning());
    }
}

/// The outputs of a network with several.
fn outputs_ui(
    ui: &mut Ui,
    info: &ModelInfo,
    is_chosen: impl Fn(&OutputInfo) -> bool,
    mut choose: impl FnMut(&OutputInfo),
) {
    if info.outputs.len() < 2 {
        return;
    }
    let now = info.outputs.iter().find(|output| is_chosen(output));
    let name = |output: &OutputInfo| printable::name(&output.name);
    ui.horizontal(|ui| {
        ui.label("Output");
        let menu = ComboBox::from_id_salt("output")
            .selected_text(now.map_or_else(|| "–".into(), name))
            .width(ui.available_width())
            .truncate()
            .show_ui(ui, |ui| {
                for output in &info.outputs {
                    let text = format!("{}, {} classes", name(output), output.classes);
                    let item = ui.selectable_label(is_chosen(output), text);
                    if item.clicked() && !is_chosen(output) {
                        choose(output);
                    }
                }
            });
        name_widget(ui, &menu.response, "Output");
    });
}

/// How logits become scores.
fn scores_ui(ui: &mut Ui, state: &State, info: &ModelInfo, actions: &mut Actions) {
    let own = info.scores;
    let chosen = state.settings.scores;
    let now = own.unless(chosen);
    ui.horizontal_wrapped(|ui| {
        ui.label("Scores");
        if own == Scores::OneLogit {
            ui.label(own.name()).on_hover_text(own.meaning());
        } else {
            for scores in Scores::CHOICES {
                let item = ui.selectable_label(now == scores, scores.name());
                if item.on_hover_text(scores.meaning()).clicked() && now != scores {
                    let choice = Some(scores).filter(|scores| *scores != own);
                    actions.set(&chosen, choice, Action::SetScores);
                }
            }
        }
        if now != own {
            let words = format!("not the model's own: {own}");
            let words = RichText::new(words).small();
            ui.label(words.color(ui.visuals().warn_fg_color));
        } else if let Some(from) = &info.scores_from {
            ui.label(
                RichText::new(format!("({})", printable::name(from)))
                    .small()
                    .weak(),
            );
        }
    });
}
