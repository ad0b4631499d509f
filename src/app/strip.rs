//! The strip of opened photos, once there is more than one.

use eframe::egui::{self, Button, Image, Panel, ScrollArea, Ui, vec2};

use super::App;
use super::command::Command;
use super::state::Thumbnail;

const HEIGHT: f32 = 64.0;

pub fn show(app: &mut App, ui: &mut Ui) {
    if app.state.photos.len() < 2 {
        return;
    }
    Panel::bottom("strip").show(ui, |ui| {
        ScrollArea::horizontal()
            .id_salt("strip")
            .auto_shrink([false, true])
            .show(ui, |ui| {
                ui.horizontal(|ui| {
                    for item in &app.state.photos {
                        let current = Some(item.id) == app.state.current;
                        let name = item.source.name();
                        let button = match &item.thumbnail {
                            Thumbnail::Made(Ok(picture)) => {
                                let texture = app.textures.thumbnail(ui.ctx(), item.id, picture);
                                let width = HEIGHT * picture.width as f32 / picture.height as f32;
                                let size = vec2(width.clamp(24.0, 3.0 * HEIGHT), HEIGHT);
                                let image = Image::new((texture.id(), size)).alt_text(name.clone());
                                Button::image(image.fit_to_exact_size(size))
                            }
                            Thumbnail::Made(Err(_)) => {
                                Button::new(format!("! {name}")).min_size(vec2(HEIGHT, HEIGHT))
                            }
                            _ => Button::new("…").min_size(vec2(HEIGHT, HEIGHT)),
                        };
                        let response = ui.add(button.selected(current));
                        response.widget_info(|| {
                            egui::WidgetInfo::selected(
                                egui::Role::Button,
                                true,
                                current,
                                format!("photo {name}"),
                            )
                        });
                        let hover = match &item.thumbnail {
                            Thumbnail::Made(Err(message)) => message.clone(),
                            _ => name,
                        };
                        if current && app.strip_at != Some(item.id) {
                            app.strip_at = Some(item.id);
                            response.scroll_to_me(None);
                        }
                        if response.on_hover_text(hover).clicked() {
                            app.commands.push(Command::Show(item.id));
                        }
                    }
                });
            });
    });
}
