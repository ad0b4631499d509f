//! The empty window: drop a photo, open one, or take a sample.

use eframe::egui;
use eframe::egui::{
    Align2, Color32, Context, FontId, Image, LayerId, Order, RichText, Stroke, StrokeKind, Ui, vec2,
};

use crate::app::command::Command;
use crate::app::{App, Server};
use crate::worker::PhotoSource;

/// Photographs that come with the program (assets/samples/README.md: CC0 and
/// public domain).
pub const SAMPLES: [PhotoSource; 5] = [
    PhotoSource::Embedded {
        name: "cat.png",
        bytes: include_bytes!("../../../assets/samples/cat.png"),
    },
    PhotoSource::Embedded {
        name: "two-cats.png",
        bytes: include_bytes!("../../../assets/samples/two-cats.png"),
    },
    PhotoSource::Embedded {
        name: "coffee.png",
        bytes: include_bytes!("../../../assets/samples/coffee.png"),
    },
    PhotoSource::Embedded {
        name: "rocket.png",
        bytes: include_bytes!("../../../assets/samples/rocket.png"),
    },
    PhotoSource::Embedded {
        name: "astronaut.png",
        bytes: include_bytes!("../../../assets/samples/astronaut.png"),
    },
];

const THUMBNAIL: f32 = 96.0;

/// Samples have numbers that opened photos never reach.
pub fn sample_id(index: usize) -> u64 {
    u64::MAX - index as u64
}

/// Which sample a number stands for, if it does.
pub fn sample_index(id: u64) -> Option<usize> {
    let index = usize::try_from(u64::MAX - id).ok()?;
    (index < SAMPLES.len()).then_some(index)
}

pub fn start_screen_ui(app: &mut App, ui: &mut Ui) {
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
                let title = if app.server == Server::Other {
                    "Drop a photo here"
                } else {
                    "Open a photo"
                };
                ui.label(RichText::new(title).size(30.0).strong());
                ui.add_space(4.0);
                ui.label("to see why the classifier answers as it does");
                ui.add_space(14.0);
                if ui
                    .add(egui::Button::new(RichText::new("Open a photo…").size(18.0)))
                    .clicked()
                {
                    app.commands.push(Command::AskForPhotos);
                }
                ui.add_space(6.0);
                ui.weak("or paste an image or a path with Ctrl+V");
                if app.server == Server::Wayland {
                    ui.weak(NO_DROPS);
                }
                ui.add_space(24.0);
                ui.label("or take one of these:");
                ui.add_space(6.0);
                samples_ui(app, ui);
            });
        });
}

/// Why nothing happens when a file is dropped.
const NO_DROPS: &str = "Files can't be dropped on this window: Wayland shows it, and its drops do not arrive here. \
    With XWayland they do.";

fn samples_ui(app: &mut App, ui: &mut Ui) {
    // Not while the first photo is on its way: the samples would hold it up.
    if app.state.current.is_none() {
        let missing = |(index, _): &(usize, &PhotoSource)| app.state.samples[*index].is_none();
        let samples = SAMPLES.iter().enumerate().filter(missing);
        let samples = samples.map(|(index, sample)| (sample_id(index), sample.clone()));
        app.thumbnails
            .want(samples.collect(), app.state.settings.limits);
    }
    let width = SAMPLES.len() as f32 * (THUMBNAIL + ui.spacing().item_spacing.x + 8.0);
    let room = ui.available_width();
    ui.horizontal_wrapped(|ui| {
        ui.add_space(((room - width) / 2.0).max(0.0));
        for (index, sample) in SAMPLES.iter().enumerate() {
            let name = sample.name();
            let size = vec2(THUMBNAIL, THUMBNAIL);
            let button = match &app.state.samples[index] {
                Some(picture) => {
                    let texture = app.textures.thumbnail(ui.ctx(), sample_id(index), picture);
                    let shape = vec2(picture.width as f32, picture.height as f32);
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
                app.commands.push(Command::Open(vec![sample.clone()]));
            }
        }
    });
}

/// While files hover over the window.
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
        format!("Drop {hovering} files: the first opens, the others wait below")
    };
    painter.text(
        area.center(),
        Align2::CENTER_CENTER,
        text,
        FontId::proportional(26.0),
        Color32::WHITE,
    );
}
