//! Draws a window's triangles into an image on the CPU, so that snapshots need no display and no
//! GPU and are the same on every machine.

use std::collections::HashMap;

use eframe::egui::epaint::{ImageData, Primitive, Vertex};
use eframe::egui::{Color32, ColorImage, Context, FullOutput, Rect, TextureId, TexturesDelta};
use egui_kittest::TestRenderer;
use image::{Rgba, RgbaImage};

/// Keeps the textures and draws with them.
#[derive(Default)]
pub struct CpuRenderer {
    textures: HashMap<TextureId, ColorImage>,
}

impl TestRenderer for CpuRenderer {
    fn handle_delta(&mut self, delta: &mut TexturesDelta) {
        for (id, patches) in delta.set.drain() {
            for patch in patches {
                let ImageData::Color(image) = patch.image;
                match patch.pos {
                    None => {
                        self.textures.insert(id, image.as_ref().clone());
                    }
                    Some([left, top]) => {
                        let texture = self.textures.get_mut(&id).expect("a patch of a texture");
                        let [width, height] = image.size;
                        for row in 0..height {
                            let to = (top + row) * texture.size[0] + left;
                            let from = &image.pixels[row * width..][..width];
                            texture.pixels[to..to + width].copy_from_slice(from);
                        }
                    }
                }
            }
        }
        for id in delta.free.drain() {
            self.textures.remove(&id);
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a window's size
    fn render(&mut self, ctx: &Context, output: &FullOutput) -> Result<RgbaImage, String> {
        let scale = ctx.pixels_per_point();
        let size = ctx.content_rect().size() * scale;
        let mut canvas = Canvas {
            width: size.x.round() as usize,
            height: size.y.round() as usize,
            pixels: Vec::new(),
        };
        canvas.pixels = vec![[0.0; 4]; canvas.width * canvas.height];
        for primitive in ctx.tessellate(output.shapes.clone(), scale) {
            let Primitive::Mesh(mesh) = primitive.primitive else {
                return Err("paint callbacks can't be drawn".into());
            };
            let Some(texture) = self.textures.get(&mesh.texture_id) else {
                return Err(format!("texture {:?} does not exist", mesh.texture_id));
            };
            let clip = primitive.clip_rect * scale;
            for corners in mesh.indices.chunks_exact(3) {
                let corners = [0, 1, 2].map(|corner| {
                    let mut vertex = mesh.vertices[corners[corner] as usize];
                    vertex.pos = (vertex.pos.to_vec2() * scale).to_pos2();
                    vertex
                });
                canvas.triangle(&corners, texture, clip);
            }
        }
        Ok(canvas.image())
    }
}

/// Premultiplied colors, 0..=1.
struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[f32; 4]>,
}

impl Canvas {
    /// Draws a triangle over the image. A pixel belongs to it if its center does.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the canvas
    fn triangle(&mut self, corners: &[Vertex; 3], texture: &ColorImage, clip: Rect) {
        let [a, b, c] = corners.each_ref().map(|corner| corner.pos);
        let cross = |p: eframe::egui::Pos2, q: eframe::egui::Pos2, x: f32, y: f32| {
            (q.x - p.x) * (y - p.y) - (q.y - p.y) * (x - p.x)
        };
        let area = cross(a, b, c.x, c.y);
        if area == 0.0 {
            return;
        }
        let bounds = Rect::from_points(&[a, b, c]).intersect(clip);
        let range = |from: f32, to: f32, most: usize| {
            let first = (from - 0.5).ceil().max(0.0) as usize;
            let end = ((to - 0.5).floor() + 1.0).clamp(0.0, most as f32) as usize;
            first..end
        };
        for row in range(bounds.top(), bounds.bottom(), self.height) {
            for column in range(bounds.left(), bounds.right(), self.width) {
                let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
                let shares = [
                    cross(b, c, x, y) / area,
                    cross(c, a, x, y) / area,
                    cross(a, b, x, y) / area,
                ];
                if shares.iter().any(|share| *share < 0.0) {
                    continue;
                }
                let mix = |value: &dyn Fn(&Vertex) -> f32| -> f32 {
                    let parts = corners.iter().zip(shares);
                    parts.map(|(corner, share)| share * value(corner)).sum()
                };
                let texel = sample(texture, mix(&|v| v.uv.x), mix(&|v| v.uv.y));
                let alpha = texel[3] * mix(&|v| f32::from(v.color.a()) / 255.0);
                let below = &mut self.pixels[row * self.width + column];
                for channel in 0..4 {
                    let tint = mix(&|v| f32::from(v.color.to_array()[channel]) / 255.0);
                    below[channel] = texel[channel] * tint + below[channel] * (1.0 - alpha);
                }
            }
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0..=255
    fn image(&self) -> RgbaImage {
        RgbaImage::from_fn(self.width as u32, self.height as u32, |x, y| {
            let [red, green, blue, _] = self.pixels[y as usize * self.width + x as usize];
            let byte = |value: f32| (255.0 * value.clamp(0.0, 1.0)).round() as u8;
            Rgba([byte(red), byte(green), byte(blue), 255])
        })
    }
}

/// Samples a texture at 0..1 on both axes, interpolating between texels.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the texture
fn sample(texture: &ColorImage, u: f32, v: f32) -> [f32; 4] {
    let [width, height] = texture.size;
    let axis = |share: f32, count: usize| {
        let last = (count - 1) as f32;
        let at = (share * count as f32 - 0.5).clamp(0.0, last);
        let first = at.floor();
        (first as usize, (first + 1.0).min(last) as usize, at - first)
    };
    let ((left, right, across), (top, bottom, down)) = (axis(u, width), axis(v, height));
    let texel = |x: usize, y: usize| {
        let color: Color32 = texture.pixels[y * width + x];
        color.to_array().map(|value| f32::from(value) / 255.0)
    };
    let corners = [
        texel(left, top),
        texel(right, top),
        texel(left, bottom),
        texel(right, bottom),
    ];
    std::array::from_fn(|channel| {
        let [a, b, c, d] = corners.map(|corner| corner[channel]);
        let (upper, lower) = (a + (b - a) * across, c + (d - c) * across);
        upper + (lower - upper) * down
    })
}
