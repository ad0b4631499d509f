//! The empty window: drop a photo, open one, or try a sample.

use eframe::egui;
use eframe::egui::{
    Align2, Color32, Context, FontId, Image, LayerId, Order, RichText, Stroke, StrokeKind, Ui, vec2,
};

use crate::app::display_server::Server;
use crate::app::state::action::Actions;
use crate::app::state::command::Command;
use crate::app::state::samples::{SAMPLES, sample_id};
use crate::app::textures::Textures;

const THUMBNAIL: f32 = 96.0;

/// Draws the start screen, which is shown until the first photo is open.
pub fn start_screen_ui(
    ui: &mut Ui,
    (textures, server): (&Textures, Server),
    actions: &mut Actions,
) {
    let area = ui.available_rect_before_wrap().shrink(12.0);
    let stroke = Stroke::new(2.0, ui.visuals().weak_text_color().gamma_multiply(0.5));
    ui.painter()
        .rect_stroke(area, 12.0, stroke, StrokeKind::Inside);
    egui::ScrollArea::vertical()
        .id_salt("start")
        .auto_shrink(false)
        .show(ui, |ui| {
            ui.vertical_centered(|ui| {
                ui.add_space((area.height() * 0.22 - 40.0).max(16.0));
                let title = if server == Server::Other {
                    "Drop a photo here"
                } else {
                    "Open a photo"
                };
                ui.label(RichText::new(title).size(30.0).strong());
                ui.add_space(4.0);
                ui.label("to see why the classifier chose its answer");
                ui.add_space(14.0);
                if ui
                    .add(egui::Button::new(RichText::new("Open a photo…").size(18.0)))
                    .clicked()
                {
                    actions.push(Command::AskForPhotos);
                }
                ui.add_space(6.0);
                ui.weak("or paste an image or a path with Ctrl+V");
                if server == Server::Wayland {
                    ui.weak(NO_DROPS);
                }
                ui.add_space(24.0);
                ui.label("or try one of these:");
                ui.add_space(6.0);
                samples_ui(ui, textures, actions);
            });
        });
}

/// The explanation if files can't be dropped.
const NO_DROPS: &str = "Files can't be dropped on this window, because dropping does not work under Wayland. \
    With XWayland it does.";

fn samples_ui(ui: &mut Ui, textures: &Textures, actions: &mut Actions) {
    let width = SAMPLES.len() as f32 * (THUMBNAIL + ui.spacing().item_spacing.x + 8.0);
    let room = ui.available_width();
    ui.horizontal_wrapped(|ui| {
        ui.add_space(((room - width) / 2.0).max(0.0));
        for (index, sample) in SAMPLES.iter().enumerate() {
            let name = sample.name();
            let size = vec2(THUMBNAIL, THUMBNAIL);
            let button = match textures.thumbnail(sample_id(index)) {
                Some(texture) => {
                    let shape = texture.size_vec2();
                    let image = Image::new((texture.id(), shape)).alt_text(name.clone());
                    egui::Button::image(image.fit_to_exact_size(size))
                        .min_size(size + vec2(12.0, 8.0))
                }
                None => egui::Button::new(&name).min_size(size),
            };
            let response = ui.add(button);
            response.widget_info(|| {
                egui::WidgetInfo::labeled(egui::Role::Button, true, format!("sample {name}"))
            });
            if response.on_hover_text(name).clicked() {
                actions.push(Command::Open(vec![sample.clone()]));
            }
        }
    });
}

/// A hint while files are dragged over the window.
pub fn drop_hint(ctx: &Context) {
    let hovering = ctx.input(|input| input.raw.hovered_files.len());
    if hovering == 0 {
        return;
    }
    let painter = ctx.layer_painter(LayerId::new(
        Order::Foreground,
        egui::Id::unique("drop hint"),
    ));
    let area = ctx.content_rect();
    painter.rect_filled(area, 0.0, Color32::from_black_alpha(170));
    painter.rect_stroke(
        area.shrink(20.0),
        12.0,
        Stroke::new(3.0, Color32::WHITE),
        StrokeKind::Inside,
    );
    let text = if hovering == 1 {
        "Drop it to see its maps".to_owned()
    } else {
        format!("Drop {hovering} files: the first one opens, the others are added below")
    };
    painter.text(
        area.center(),
        Align2::CENTER_CENTER,
        text,
        FontId::proportional(26.0),
        Color32::WHITE,
    );
}
