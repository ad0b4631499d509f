//! A window with the network's input, pixel for pixel.

use std::sync::Arc;

use eframe::egui;
use eframe::egui::{
    ColorImage, Context, Image, Role, TextureHandle, TextureOptions, WidgetInfo, vec2,
};

use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::dialogs::Dialog;
use crate::explain::analysis::Analysis;

/// The texture of an analysis's input.
pub struct InputTexture {
    of: Arc<Analysis>,
    texture: TextureHandle,
}

/// Shows the window if it is open.
pub fn show(ctx: &Context, state: &State, kept: &mut Option<InputTexture>, actions: &mut Actions) {
    let Some(shown) = state.latest.shown().filter(|_| state.dialogs.input) else {
        *kept = None;
        return;
    };
    let analysis = &shown.analysis;
    let there = kept.take();
    let there = there.filter(|there| Arc::ptr_eq(&there.of, analysis));
    let there = there.unwrap_or_else(|| {
        // Framing again gives exactly the same pixels.
        let input = analysis
            .framing
            .frame(&shown.photo, analysis.preprocessing.frame_options());
        let (width, height) = input.placement.input;
        let image = ColorImage::from_rgb([width, height], &input.rgb);
        InputTexture {
            of: analysis.clone(),
            texture: ctx.load_texture("input", image, TextureOptions::NEAREST),
        }
    });
    let (width, height) = analysis.placement.input;
    let mut open = true;
    egui::Window::new("What the network saw")
        .open(&mut open)
        .collapsible(false)
        .default_size(vec2(width as f32 + 16.0, height as f32 + 60.0))
        .default_pos(ctx.content_rect().center() - vec2(width as f32, height as f32) / 2.0)
        .show(ctx, |ui| {
            ui.label(format!(
                "{width}×{height} pixels (framing {}), shown pixel for pixel; then {}.",
                analysis.framing.name(),
                analysis.preprocessing
            ));
            // Screen pixels, not points.
            let zoom = ctx.pixels_per_point();
            let size = vec2(width as f32 / zoom, height as f32 / zoom);
            egui::ScrollArea::both().show(ui, |ui| {
                let image = Image::new((there.texture.id(), size)).fit_to_exact_size(size);
                let image = ui.add(image);
                image.widget_info(|| {
                    let label = format!("The network's input, {width} by {height} pixels");
                    WidgetInfo::labeled(Role::Image, true, label)
                });
            });
        });
    *kept = Some(there);
    if !open {
        actions.push(Action::ShowDialog(Dialog::Input, false));
    }
}
