//! Which network of a weight file runs, where it holds several: the averaged weights or the
//! others, a teacher or a student.

use eframe::egui::{ComboBox, Ui};

use crate::app::App;
use crate::app::command::Command;
use crate::app::widgets::name_widget;
use crate::model::ModelChoice;
use crate::text::printable;

pub fn network_menu_ui(app: &mut App, ui: &mut Ui) {
    let Some(model) = &app.state.model else {
        return;
    };
    let (info, Some(file)) = (&model.info, model.choice.file()) else {
        return;
    };
    if info.networks.len() < 2 {
        return;
    }
    let commands = &mut app.commands;
    ui.horizontal(|ui| {
        ui.label("Network in the file");
        let menu = ComboBox::from_id_salt("network")
            .selected_text(printable::name(&info.network.to_string()))
            .width(ui.available_width())
            .truncate()
            .show_ui(ui, |ui| {
                for network in &info.networks {
                    // The head is one of the network's own: another network may lack it.
                    let chosen = network.is_of_same_network(&info.network);
                    let item = ui.selectable_label(chosen, printable::name(&network.to_string()));
                    if item.clicked() && !chosen {
                        let choice =
                            ModelChoice::Within(file.to_owned(), Box::new(network.clone()));
                        commands.push(Command::UseModel(choice));
                    }
                }
            });
        name_widget(ui, &menu.response, "Network in the file");
    });
}
