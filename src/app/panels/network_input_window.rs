//! What the network saw: its input, pixel for pixel.

use std::sync::Arc;

use eframe::egui;
use eframe::egui::{
    ColorImage, Context, Image, Role, TextureHandle, TextureOptions, WidgetInfo, vec2,
};

use crate::app::App;
use crate::explain::analysis::Analysis;

/// The input of an analysis on the graphics card.
pub struct InputTexture {
    of: Arc<Analysis>,
    texture: TextureHandle,
}

/// Shows the window while it is wanted.
pub fn show(app: &mut App, ctx: &Context) {
    let Some(shown) = app.state.latest.shown().filter(|_| app.show_input) else {
        app.input_texture = None;
        return;
    };
    let analysis = &shown.analysis;
    let kept = app.input_texture.take();
    let kept = kept.filter(|kept| Arc::ptr_eq(&kept.of, analysis));
    let kept = kept.unwrap_or_else(|| {
        // The same pixels as before: framing is exact.
        let input = analysis
            .framing
            .frame(&shown.photo, analysis.preprocessing.size);
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
                "{width}×{height} pixels (framing {}), here pixel for pixel; then {}.",
                analysis.framing.name(),
                analysis.preprocessing
            ));
            // Pixels of the screen, not points.
            let zoom = ctx.pixels_per_point();
            let size = vec2(width as f32 / zoom, height as f32 / zoom);
            egui::ScrollArea::both().show(ui, |ui| {
                let image = Image::new((kept.texture.id(), size)).fit_to_exact_size(size);
                let image = ui.add(image);
                image.widget_info(|| {
                    let label = format!("The network's input, {width} by {height} pixels");
                    WidgetInfo::labeled(Role::Image, true, label)
                });
            });
        });
    app.input_texture = Some(kept);
    app.show_input = open;
}
