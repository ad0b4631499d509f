//! Selects one network of a weight file that holds several, such as averaged and plain weights, or
//! a teacher and a student.

use eframe::egui::{ComboBox, Ui};

use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::widgets::name_widget;
use crate::model::ModelChoice;
use crate::text::printable;

pub fn network_menu_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let Some(model) = &state.model else {
        return;
    };
    let (info, Some(file)) = (&model.info, model.choice.file()) else {
        return;
    };
    if info.networks.len() < 2 {
        return;
    }
    ui.horizontal(|ui| {
        ui.label("Network in the file");
        let menu = ComboBox::from_id_salt("network")
            .selected_text(printable::name(&info.network.to_string()))
            .width(ui.available_width())
            .truncate()
            .show_ui(ui, |ui| {
                for network in &info.networks {
                    // The head belongs to the current network; another network may not have it.
                    let chosen = network.is_of_same_network(&info.network);
                    let item = ui.selectable_label(chosen, printable::name(&network.to_string()));
                    if item.clicked() && !chosen {
                        let choice =
                            ModelChoice::Within(file.to_owned(), Box::new(network.clone()));
                        actions.push(Action::UseModel(choice));
                    }
                }
            });
        name_widget(ui, &menu.response, "Network in the file");
    });
}
